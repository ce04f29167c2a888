package upstreams

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// maxAlike is how many transports of the same configuration there are. As many
// deployments at one address have each their own, and with it connections of their own:
// where those of one have died unnoticed, a failover must not go over them too.
// Thousands of transports would cost every request a part of the garbage collection, and
// a single one a lock that all requests share.
const maxAlike = 8

// maxIdle is how many idle connections to one host a transport keeps unless its
// configuration says how many. Caddy keeps 32: to a model server that answers a few
// hundred requests at a time, those beyond would be opened and closed again and again.
const maxIdle = 256

// Transports are those of one router. The zero value is ready to use, on one
// goroutine.
type Transports struct {
	alike map[string]*alike
}

// alike are transports of one configuration.
type alike struct {
	made [maxAlike]http.RoundTripper
	// next is which of them the next deployment at an address gets, by address, and
	// fresh which one the first at another address gets; both count on beyond the last.
	next  map[string]int
	fresh int
}

// load gives a transport of a configuration for an address, which is empty where it is
// looked up for each request: a new one, or, where that may be, one that other deployments
// have too.
func (t *Transports) load(ctx caddy.Context, raw json.RawMessage, address string) (http.RoundTripper, error) {
	// A socket has no host by which a shared transport could tell it from others.
	if address == "" || strings.HasPrefix(address, "unix/") || !mayShare(raw) {
		return newTransport(ctx, raw)
	}
	a := t.alike[string(raw)]
	if a == nil {
		if t.alike == nil {
			t.alike = make(map[string]*alike)
		}
		a = &alike{next: make(map[string]int)}
		t.alike[string(raw)] = a
	}
	i, known := a.next[address]
	if !known {
		i = a.fresh
		a.fresh++
	}
	a.next[address] = i + 1
	place := &a.made[i%maxAlike]
	if *place == nil {
		transport, err := newTransport(ctx, raw)
		if err != nil {
			return nil, err
		}
		*place = transport
	}
	return *place, nil
}

// mayShare tells whether deployments may share a transport: it is Caddy's own, is not
// made for one upstream, and the user has not limited its connections, which would
// then be a limit for all of them together.
func mayShare(raw json.RawMessage) bool {
	config, err := limitsOf(raw)
	return err == nil && config.Protocol == "http" && config.PerHost == 0 &&
		config.Keep.Idle == 0 && config.Keep.PerHost == 0 && !describesUpstream(raw)
}

// connLimits are how many connections the configuration of a transport allows; 0 is
// that it does not say.
type connLimits struct {
	Protocol string `json:"protocol"`
	PerHost  int    `json:"max_conns_per_host"` // of a host that several deployments may be at
	Keep     struct {
		Idle    int `json:"max_idle_conns"`
		PerHost int `json:"max_idle_conns_per_host"`
	} `json:"keep_alive"`
}

func limitsOf(raw json.RawMessage) (config connLimits, err error) {
	err = json.Unmarshal(raw, &config)
	return config, err
}

// keepMore keeps more connections than Caddy does, where the user has not said how many.
func keepMore(transport *reverseproxy.HTTPTransport, raw json.RawMessage) {
	if config, err := limitsOf(raw); err == nil && config.Keep.PerHost == 0 && transport.Transport != nil {
		transport.Transport.MaxIdleConnsPerHost = maxIdle
	}
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
		keepMore(plain, raw)
		noticeDeath(plain)
	}
	if own, ok := mod.(reverseproxy.ProxyProtocolTransport); ok && own.ProxyProtocolEnabled() {
		return nil, fmt.Errorf("transport: proxy_protocol names one client for each connection; here clients share them")
	}
	return transport, nil
}

// pingAfter is how long nothing comes on a connection over HTTP/2 before it is asked
// whether it is still alive, and pingTimeout how long it has to answer.
const (
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
)

// noticeDeath has a transport give up connections over HTTP/2 that have died unnoticed.
// It would send one request after the other over such a connection for a quarter of an
// hour, also the one that finds out whether the deployment is back: over HTTP/2 a
// request that runs out of time ends its stream alone.
func noticeDeath(transport *reverseproxy.HTTPTransport) {
	if t := transport.Transport; t != nil && t.HTTP2 == nil {
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	}
}
