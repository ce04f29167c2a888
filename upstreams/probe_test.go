package upstreams

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func TestPrepareHealthChecks(t *testing.T) {
	tests := []struct {
		name    string
		base    string
		key     string
		header  string
		uri     string
		own     http.Header
		wantURI string
		want    http.Header
	}{
		{
			"prefix and key", "https://h:8443/openai/v1", "k", "", "/v1/models", nil,
			"/openai/v1/models",
			http.Header{"Authorization": {"Bearer k"}, "Host": {"h:8443"}},
		},
		{
			"the address's query", "https://h/openai?api-version=1", "k", "api-key", "/v1/models?a=1", nil,
			"/openai/models?a=1&api-version=1",
			http.Header{"Api-Key": {"k"}, "Host": {"h"}},
		},
		{
			"another path as it is", "https://h/openai/v1?api-version=1", "k", "", "/healthz?a=1", nil,
			"/healthz?a=1",
			http.Header{"Authorization": {"Bearer k"}, "Host": {"h"}},
		},
		{
			"headers of its own win", "http://h/v1", "k", "", "/health",
			http.Header{"authorization": {"Basic x"}, "host": {"other"}},
			"/health",
			http.Header{"Authorization": {"Basic x"}, "Host": {"other"}},
		},
		{"no key", "http://h/v1", "", "", "/health", nil, "/health", http.Header{"Host": {"h"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bareDeployment(t, tt.base)
			d.APIKey, d.APIKeyHeader = tt.key, tt.header
			if err := d.resolve(); err != nil {
				t.Fatal(err)
			}
			active := &reverseproxy.ActiveHealthChecks{URI: tt.uri, Headers: tt.own}
			if !d.prepareHealthChecks(&reverseproxy.Handler{HealthChecks: &reverseproxy.HealthChecks{Active: active}}) {
				t.Fatal("health checks are not on")
			}
			if active.URI != tt.wantURI {
				t.Errorf("got %s, want %s", active.URI, tt.wantURI)
			}
			if !maps.EqualFunc(active.Headers, tt.want, slices.Equal) {
				t.Errorf("got %v, want %v", active.Headers, tt.want)
			}
		})
	}
}

func TestPrepareHealthChecksWithout(t *testing.T) {
	d := bareDeployment(t, "http://h")
	for name, proxy := range map[string]*reverseproxy.Handler{
		"none":       {},
		"no active":  {HealthChecks: &reverseproxy.HealthChecks{}},
		"no address": {HealthChecks: &reverseproxy.HealthChecks{Active: &reverseproxy.ActiveHealthChecks{}}},
	} {
		if d.prepareHealthChecks(proxy) {
			t.Errorf("%s: got health checks", name)
		}
	}
}

// fixedTransport answers every request with one status.
type fixedTransport int

func (f fixedTransport) RoundTrip(*http.Request) (*http.Response, error) {
	if f == 0 {
		return nil, errors.New("refused")
	}
	return response(int(f), "", strings.NewReader("")), nil
}

func TestProbeTransport(t *testing.T) {
	tests := []struct {
		name           string
		status, expect int
		upgrade        bool
		want           int
	}{
		{"busy is alive", 429, 0, false, 200},
		{"busy, with a status expected", 429, 204, false, 204},
		{"busy, with a class expected", 429, 2, false, 200},
		{"fine", 200, 0, false, 200},
		{"down", 503, 0, false, 503},
		{"bad key", 401, 0, false, 401},
		{"a client's upgrade is no check", 429, 0, true, 429},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			if tt.upgrade {
				ctx = context.WithValue(ctx, upgradeKey{}, true)
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://h/", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := probeTransport{fixedTransport(tt.status), tt.expect}.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.want {
				t.Errorf("got %d, want %d", res.StatusCode, tt.want)
			}
		})
	}
	req, _ := http.NewRequest(http.MethodGet, "http://h/", nil)
	if _, err := (probeTransport{fixedTransport(0), 0}).RoundTrip(req); err == nil {
		t.Error("a failed connection passes for an answer")
	}
}

// Caddy's reverse proxy finds out by these interfaces what a transport can do;
// what stands in front of one must not hide them.
func TestProbeTransportForwards(t *testing.T) {
	tls := &reverseproxy.HTTPTransport{TLS: new(reverseproxy.TLSConfig), ProxyProtocol: "v1"}
	p := probeTransport{tls, 0}
	if p.RequestHeaderOps() == nil {
		t.Error("the transport's header operations are lost")
	}
	if !p.ProxyProtocolEnabled() {
		t.Error("the PROXY protocol is lost")
	}
	u := &url.URL{Scheme: "http"}
	if p.OverrideHealthCheckScheme(u, "443"); u.Scheme != "https" {
		t.Errorf("got scheme %s, want https", u.Scheme)
	}

	bare := probeTransport{fixedTransport(200), 0}
	var none *headers.HeaderOps
	if got := bare.RequestHeaderOps(); got != none {
		t.Errorf("got %v, want none", got)
	}
	if bare.ProxyProtocolEnabled() {
		t.Error("got the PROXY protocol out of nowhere")
	}
	u = &url.URL{Scheme: "http"}
	if bare.OverrideHealthCheckScheme(u, "443"); u.Scheme != "http" {
		t.Errorf("got scheme %s, want http", u.Scheme)
	}
}
