package upstreams

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func TestTransportsAreSharedByManyOnly(t *testing.T) {
	const plain = `{"protocol":"http"}`
	for _, c := range []struct {
		name, config, network string
		addresses             int
		want, atOne           int // different ones of 100, and at one address
	}{
		{"one address", plain, "h:", 1, maxAlike, maxAlike},
		{"two addresses", plain, "h:", 2, maxAlike, maxAlike},
		{"many addresses", plain, "h:", 100, maxAlike, 1},
		{"with limits of time", `{"dial_timeout":1000000000,"protocol":"http"}`, "h:", 1, maxAlike, maxAlike},
		{"sockets", plain, "unix//run/", 2, 100, 50},
		{"with a limit for one host", `{"max_conns_per_host":2,"protocol":"http"}`, "h:", 2, 100, 50},
		{"with a limit of what is idle for one host", `{"keep_alive":{"max_idle_conns_per_host":2},"protocol":"http"}`, "h:", 2, 100, 50},
		{"with a limit for all hosts", `{"keep_alive":{"max_idle_conns":2},"protocol":"http"}`, "h:", 2, 100, 50},
		{"for one upstream", `{"protocol":"http","tls":{"server_name":"{http.reverse_proxy.upstream.host}"}}`, "h:", 2, 100, 50},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer end()
			var transports Transports
			different, atOne := make(map[http.RoundTripper]bool), make(map[http.RoundTripper]bool)
			for i := range 100 {
				transport, err := transports.load(ctx, json.RawMessage(c.config), c.network+strconv.Itoa(i%c.addresses))
				if err != nil {
					t.Fatal(err)
				}
				different[transport] = true
				if i%c.addresses == 0 {
					atOne[transport] = true
					if n := i/c.addresses + 1; n <= maxAlike && len(atOne) != n {
						t.Fatalf("of the first %d transports at one address %d are different ones, want all", n, len(atOne))
					}
				}
			}
			if len(different) != c.want || len(atOne) != c.atOne {
				t.Errorf("100 deployments have %d transports, those at one address %d; want %d and %d", len(different), len(atOne), c.want, c.atOne)
			}
		})
	}
}

// What is looked up for each request may be anywhere.
func TestTransportsOfUnknownAddressesAreNotShared(t *testing.T) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	var transports Transports
	different := make(map[http.RoundTripper]bool)
	for range 20 {
		transport, err := transports.load(ctx, json.RawMessage(`{"protocol":"http"}`), "")
		if err != nil {
			t.Fatal(err)
		}
		different[transport] = true
	}
	if len(different) != 20 {
		t.Errorf("20 deployments have %d transports", len(different))
	}
}

func TestTransportsOfOtherConfigurationsAreOthers(t *testing.T) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	var transports Transports
	var got [2]http.RoundTripper
	for i, config := range [...]string{`{"protocol":"http"}`, `{"protocol":"http","tls":{}}`} {
		var err error
		if got[i], err = transports.load(ctx, json.RawMessage(config), "h:1"); err != nil {
			t.Fatal(err)
		}
	}
	if got[0] == got[1] {
		t.Error("a deployment with TLS has a transport without")
	}
}

// A request that runs out of time ends a stream over HTTP/2 and not its connection. A
// deployment whose connection has died would never be back.
func TestTransportsGiveUpDeadConnections(t *testing.T) {
	for _, config := range []string{`{"protocol":"http","tls":{"insecure_skip_verify":true}}`, `{"protocol":"http","versions":["h2c"]}`} {
		t.Run(config, func(t *testing.T) {
			ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer end()
			transport, err := newTransport(ctx, json.RawMessage(config))
			if err != nil {
				t.Fatal(err)
			}
			pings := transport.(*reverseproxy.HTTPTransport).Transport.HTTP2
			if pings == nil || pings.SendPingTimeout != pingAfter || pings.PingTimeout != pingTimeout {
				t.Fatalf("got %v, want a ping after %v that is waited for for %v", pings, pingAfter, pingTimeout)
			}
			pings.SendPingTimeout, pings.PingTimeout = 50*time.Millisecond, 50*time.Millisecond // or the test would last

			up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
			dead := &scripted.Forgetful{Listener: up.Listener}
			up.Listener, up.EnableHTTP2 = dead, true
			up.Config.Protocols = new(http.Protocols)
			up.Config.Protocols.SetHTTP2(true)
			up.Config.Protocols.SetUnencryptedHTTP2(true)
			if transport.(*reverseproxy.HTTPTransport).TLS != nil {
				up.StartTLS()
			} else {
				up.Start()
			}
			defer up.Close()
			ask := func() string {
				ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()), 200*time.Millisecond)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, up.URL, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				res, err := transport.RoundTrip(req)
				if err != nil {
					return err.Error()
				}
				defer res.Body.Close()
				proto, _ := io.ReadAll(res.Body)
				return string(proto)
			}
			if got := ask(); got != "HTTP/2.0" {
				t.Fatalf("got %q, want an answer over HTTP/2", got)
			}
			dead.Forget()
			last := ""
			for range 20 {
				if last = ask(); last == "HTTP/2.0" {
					return
				}
			}
			t.Errorf("got %q after 20 requests, want an answer over another connection", last)
		})
	}
}
