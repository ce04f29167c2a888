package upstreams

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// maxAlike is how many transports of the same configuration there are. Up to so many
// deployments have each their own; more of them share, as the upstreams of one reverse
// proxy do. Thousands of transports would cost every request a part of the garbage
// collection, and a single one a lock that all requests share.
const maxAlike = 32

// Transports are those of one router. The zero value is ready to use, on one
// goroutine.
type Transports struct {
	alike map[string]*alike
}

// alike are transports of one configuration.
type alike struct {
	made []http.RoundTripper
	next int
}

// load gives a transport of a configuration: a new one, or, where that may be, one
// that other deployments have too.
func (t *Transports) load(ctx caddy.Context, raw json.RawMessage, shared bool) (http.RoundTripper, error) {
	if !shared || !mayShare(raw) {
		return newTransport(ctx, raw)
	}
	a := t.alike[string(raw)]
	if a == nil {
		if t.alike == nil {
			t.alike = make(map[string]*alike)
		}
		a = new(alike)
		t.alike[string(raw)] = a
	}
	if len(a.made) == maxAlike {
		a.next++
		return a.made[a.next%maxAlike], nil
	}
	transport, err := newTransport(ctx, raw)
	if err == nil {
		a.made = append(a.made, transport)
	}
	return transport, err
}

// mayShare tells whether deployments cannot notice that they share a transport:
// whether it is Caddy's own, is not made for one upstream, and limits nothing but
// what is limited for each host.
func mayShare(raw json.RawMessage) bool {
	var config struct {
		Protocol string `json:"protocol"`
		PerHost  int    `json:"max_conns_per_host"` // of a host that several deployments may be at
		Keep     struct {
			Idle int `json:"max_idle_conns"`
		} `json:"keep_alive"`
	}
	return json.Unmarshal(raw, &config) == nil && config.Protocol == "http" &&
		config.PerHost == 0 && config.Keep.Idle == 0 && !describesUpstream(raw)
}

// describesUpstream tells whether a configuration has placeholders that stand for
// the upstream of a request.
func describesUpstream(raw json.RawMessage) bool {
	return strings.Contains(string(raw), "{http.reverse_proxy.upstream.")
}

// newTransport loads a transport, which ends with ctx.
func newTransport(ctx caddy.Context, raw json.RawMessage) (http.RoundTripper, error) {
	// Caddy loads what a field of a module holds.
	mod, err := ctx.LoadModule(&reverseproxy.Handler{TransportRaw: raw}, "TransportRaw")
	if err != nil {
		return nil, fmt.Errorf("loading transport: %w", err)
	}
	transport, ok := mod.(http.RoundTripper)
	if !ok {
		return nil, fmt.Errorf("transport %T cannot make round trips", mod)
	}
	if plain, ok := mod.(*reverseproxy.HTTPTransport); ok {
		sendInPlace(plain)
	}
	if own, ok := mod.(reverseproxy.ProxyProtocolTransport); ok && own.ProxyProtocolEnabled() {
		return nil, fmt.Errorf("transport: proxy_protocol names one client for each connection; here clients share them")
	}
	return transport, nil
}
