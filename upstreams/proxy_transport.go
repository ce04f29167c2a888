package upstreams

import (
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// proxyTransport is a transport inside another one. It hands on the optional
// interfaces that Caddy's reverse proxy asks of a transport.
type proxyTransport struct{ http.RoundTripper }

// RequestHeaderOps implements reverseproxy.RequestHeaderOpsTransport.
func (t proxyTransport) RequestHeaderOps() *headers.HeaderOps {
	if own, ok := t.RoundTripper.(reverseproxy.RequestHeaderOpsTransport); ok {
		return own.RequestHeaderOps()
	}
	return nil
}

// ProxyProtocolEnabled implements reverseproxy.ProxyProtocolTransport.
func (t proxyTransport) ProxyProtocolEnabled() bool {
	own, ok := t.RoundTripper.(reverseproxy.ProxyProtocolTransport)
	return ok && own.ProxyProtocolEnabled()
}

// OverrideHealthCheckScheme implements reverseproxy.HealthCheckSchemeOverriderTransport.
func (t proxyTransport) OverrideHealthCheckScheme(base *url.URL, port string) {
	if own, ok := t.RoundTripper.(reverseproxy.HealthCheckSchemeOverriderTransport); ok {
		own.OverrideHealthCheckScheme(base, port)
	}
}
