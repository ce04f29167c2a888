package upstreams

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// checksHealth tells whether active health checks run for the deployment.
func (d *Deployment) checksHealth() bool {
	checks := d.proxy.HealthChecks
	return checks != nil && checks.Active != nil && checks.Active.IsEnabled() && len(d.proxy.Upstreams) > 0
}

// prepareHealthChecks makes active health checks speak like requests: with the
// deployment's key, its host and, where the URI begins with /v1, its prefix.
func (d *Deployment) prepareHealthChecks(proxy *reverseproxy.Handler) bool {
	if proxy.HealthChecks == nil || proxy.HealthChecks.Active == nil || !proxy.HealthChecks.Active.IsEnabled() {
		return false
	}
	active := proxy.HealthChecks.Active
	set := make(http.Header)
	for name, values := range active.Headers {
		set[http.CanonicalHeaderKey(name)] = values
	}
	if d.key != nil && set[d.keyHeader] == nil {
		set[d.keyHeader] = d.key
	}
	if set["Host"] == nil && d.base.host != "" {
		set["Host"] = []string{d.base.host}
	}
	active.Headers = set
	if strings.HasPrefix(active.URI, "/v1/") {
		path, query, _ := strings.Cut(active.URI, "?")
		active.URI = d.base.path(path)
		if query = d.base.rawQuery(query); query != "" {
			active.URI += "?" + query
		}
	}
	return true
}

// probeTransport is the transport of active health checks: a server that
// answers 429 is alive, however busy.
type probeTransport struct {
	http.RoundTripper
	expect int
}

// upgradeKey marks the requests that are no health checks.
type upgradeKey struct{}

// RoundTrip implements http.RoundTripper.
func (t probeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusTooManyRequests && !isUpgrade(r.Context()) {
		res.StatusCode = http.StatusOK
		if t.expect >= 100 {
			res.StatusCode = t.expect
		}
	}
	return res, err
}

func isUpgrade(ctx context.Context) bool { return ctx.Value(upgradeKey{}) != nil }

// The optional interfaces that Caddy's reverse proxy asks of a transport.

// RequestHeaderOps implements reverseproxy.RequestHeaderOpsTransport.
func (t probeTransport) RequestHeaderOps() *headers.HeaderOps {
	if own, ok := t.RoundTripper.(reverseproxy.RequestHeaderOpsTransport); ok {
		return own.RequestHeaderOps()
	}
	return nil
}

// ProxyProtocolEnabled implements reverseproxy.ProxyProtocolTransport.
func (t probeTransport) ProxyProtocolEnabled() bool {
	own, ok := t.RoundTripper.(reverseproxy.ProxyProtocolTransport)
	return ok && own.ProxyProtocolEnabled()
}

// OverrideHealthCheckScheme implements reverseproxy.HealthCheckSchemeOverriderTransport.
func (t probeTransport) OverrideHealthCheckScheme(base *url.URL, port string) {
	if own, ok := t.RoundTripper.(reverseproxy.HealthCheckSchemeOverriderTransport); ok {
		own.OverrideHealthCheckScheme(base, port)
	}
}
