package upstreams

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestTransportsAreSharedWhereNobodyNotices(t *testing.T) {
	const plain = `{"protocol":"http"}`
	for _, c := range []struct {
		name, config, network string
		addresses             int
		want                  int // different ones of 100
	}{
		{"one address", plain, "h:", 1, 1},
		{"two addresses", plain, "h:", 2, 2},
		{"many addresses", plain, "h:", 100, maxAlike},
		{"with limits of time", `{"dial_timeout":1000000000,"protocol":"http"}`, "h:", 2, 2},
		{"sockets", plain, "unix//run/", 2, 100},
		{"with a limit for one host", `{"max_conns_per_host":2,"protocol":"http"}`, "h:", 2, 100},
		{"with a limit for all hosts", `{"keep_alive":{"max_idle_conns":2},"protocol":"http"}`, "h:", 2, 100},
		{"for one upstream", `{"protocol":"http","tls":{"server_name":"{http.reverse_proxy.upstream.host}"}}`, "h:", 2, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer end()
			var transports Transports
			different := make(map[http.RoundTripper]bool)
			for i := range 100 {
				transport, err := transports.load(ctx, json.RawMessage(c.config), c.network+strconv.Itoa(i%c.addresses))
				if err != nil {
					t.Fatal(err)
				}
				different[transport] = true
			}
			if len(different) != c.want {
				t.Errorf("100 deployments have %d transports, want %d", len(different), c.want)
			}
		})
	}
}

// What is looked up for each request may be anywhere.
func TestTransportsOfUnknownAddresses(t *testing.T) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	var transports Transports
	different := make(map[http.RoundTripper]bool)
	for range 100 {
		transport, err := transports.load(ctx, json.RawMessage(`{"protocol":"http"}`), "")
		if err != nil {
			t.Fatal(err)
		}
		different[transport] = true
	}
	if len(different) != maxAlike {
		t.Errorf("100 deployments have %d transports, want %d", len(different), maxAlike)
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
