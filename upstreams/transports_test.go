package upstreams

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestTransportsAreSharedByManyOnly(t *testing.T) {
	for _, c := range []struct {
		name, config string
		shared       bool
		want         int // different ones of 100
	}{
		{"of one configuration", `{"protocol":"http"}`, true, maxAlike},
		{"with limits of time", `{"dial_timeout":1000000000,"protocol":"http"}`, true, maxAlike},
		{"of sockets", `{"protocol":"http"}`, false, 100},
		{"with a limit for one host", `{"max_conns_per_host":2,"protocol":"http"}`, true, 100},
		{"with a limit for all hosts", `{"keep_alive":{"max_idle_conns":2},"protocol":"http"}`, true, 100},
		{"for one upstream", `{"protocol":"http","tls":{"server_name":"{http.reverse_proxy.upstream.host}"}}`, true, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
			defer end()
			var transports Transports
			different := make(map[http.RoundTripper]bool)
			for i := range 100 {
				transport, err := transports.load(ctx, json.RawMessage(c.config), c.shared)
				if err != nil {
					t.Fatal(err)
				}
				different[transport] = true
				if i < maxAlike && len(different) != i+1 {
					t.Fatalf("of the first %d transports %d are different ones, want all", i+1, len(different))
				}
			}
			if len(different) != c.want {
				t.Errorf("100 deployments have %d transports, want %d", len(different), c.want)
			}
		})
	}
}

func TestTransportsOfOtherConfigurationsAreOthers(t *testing.T) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	var transports Transports
	plain := make(map[http.RoundTripper]bool)
	for range 2 * maxAlike {
		transport, err := transports.load(ctx, json.RawMessage(`{"protocol":"http"}`), true)
		if err != nil {
			t.Fatal(err)
		}
		plain[transport] = true
	}
	secure, err := transports.load(ctx, json.RawMessage(`{"protocol":"http","tls":{}}`), true)
	if err != nil {
		t.Fatal(err)
	}
	if plain[secure] {
		t.Error("a deployment with TLS has a transport without")
	}
}
