package upstreams

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
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
			proxy := checkedProxy(active)
			if err := d.prepareHealthChecks(proxy, "gpt-4o"); err != nil {
				t.Fatal(err)
			}
			if _, ok := proxy.Transport.(probeTransport); !ok || d.verdict == nil {
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
		proxy.Upstreams = reverseproxy.UpstreamPool{new(reverseproxy.Upstream)}
		if err := d.prepareHealthChecks(proxy, "gpt-4o"); err != nil || proxy.Transport != nil || d.verdict != nil {
			t.Errorf("%s: got error %v and the transport %T, want neither", name, err, proxy.Transport)
		}
	}
}

// checkedProxy is a proxy of one upstream with active health checks.
func checkedProxy(active *reverseproxy.ActiveHealthChecks) *reverseproxy.Handler {
	return &reverseproxy.Handler{
		Upstreams:    reverseproxy.UpstreamPool{new(reverseproxy.Upstream)},
		HealthChecks: &reverseproxy.HealthChecks{Active: active},
	}
}

func TestHealthCheckTimes(t *testing.T) {
	tests := []struct {
		name              string
		interval, timeout time.Duration
		want, believed    time.Duration
	}{
		{"defaults", 0, 0, 30 * time.Second, 65 * time.Second},
		{"configured", 10 * time.Second, time.Second, 10 * time.Second, 21 * time.Second},
		{"one of them", 0, time.Second, 30 * time.Second, 61 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bareDeployment(t, "http://h")
			active := &reverseproxy.ActiveHealthChecks{
				URI: "/health", Interval: caddy.Duration(tt.interval), Timeout: caddy.Duration(tt.timeout),
			}
			if err := d.prepareHealthChecks(checkedProxy(active), "gpt-4o"); err != nil {
				t.Fatal(err)
			}
			if got := time.Duration(active.Interval); got > tt.want || got < tt.want*9/10 {
				t.Errorf("got the interval %v, want at most a tenth less than %v", got, tt.want)
			}
			if d.verdict.believed != tt.believed {
				t.Errorf("got results believed for %v, want %v", d.verdict.believed, tt.believed)
			}
		})
	}
	for name, active := range map[string]*reverseproxy.ActiveHealthChecks{
		"interval": {URI: "/health", Interval: -1},
		"timeout":  {URI: "/health", Timeout: -1},
	} {
		if err := bareDeployment(t, "http://h").prepareHealthChecks(checkedProxy(active), "gpt-4o"); err == nil {
			t.Errorf("a negative %s was accepted", name)
		}
	}
}

// The body of a busy server fits what is expected as well as a healthy one's.
func TestExpectedBody(t *testing.T) {
	active := &reverseproxy.ActiveHealthChecks{URI: "/health", ExpectBody: "(?i)^ok|ready"}
	if err := bareDeployment(t, "http://h").prepareHealthChecks(checkedProxy(active), "p"); err != nil {
		t.Fatal(err)
	}
	expected := regexp.MustCompile(active.ExpectBody)
	for body, want := range map[string]bool{
		"OK": true, "is READY now": true, goodBody: true, "": false, "not ok": false, goodBody + "!": false, "so " + goodBody: false,
	} {
		if got := expected.MatchString(body); got != want {
			t.Errorf("%q: got %t, want %t", body, got, want)
		}
	}
	for _, broken := range []string{"(", "a)(b"} {
		active := &reverseproxy.ActiveHealthChecks{URI: "/health", ExpectBody: broken}
		if err := bareDeployment(t, "http://h").prepareHealthChecks(checkedProxy(active), "p"); err == nil {
			t.Errorf("%s: got no error for a broken expression", broken)
		}
	}
}

func TestSpread(t *testing.T) {
	for random, want := range map[float64]time.Duration{0: 100 * time.Second, 0.5: 95 * time.Second, 0.999: 90010 * time.Millisecond} {
		if got := spread(100*time.Second, random); got.Round(time.Millisecond) != want {
			t.Errorf("draw %v: got %v, want %v", random, got, want)
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
		body, upgrade  bool
		want           int
	}{
		{"busy is alive", 429, 0, false, false, 200},
		{"busy, with a status expected", 429, 204, false, false, 204},
		{"busy, with a kind of status expected", 429, 2, false, false, 200},
		{"busy, with another kind expected", 429, 4, false, false, 400},
		{"busy, with a body expected", 429, 0, true, false, 200},
		{"fine", 200, 0, false, false, 200},
		{"fine, with a body expected", 200, 0, true, false, 200},
		{"down", 503, 0, false, false, 503},
		{"bad key", 401, 0, false, false, 401},
		{"a client's upgrade is no check", 429, 0, true, true, 429},
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
			v := testVerdict(time.Now, true)
			res, err := probeTransport{proxyTransport: proxyTransport{fixedTransport(tt.status)}, status: tt.expect, body: tt.body, verdict: v}.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.want {
				t.Errorf("got %d, want %d", res.StatusCode, tt.want)
			}
			want := ""
			if tt.body && tt.status == 429 && !tt.upgrade {
				want = goodBody
			}
			if body, _ := io.ReadAll(res.Body); string(body) != want {
				t.Errorf("got body %q, want %q", body, want)
			}
			if noted := v.ended.Load() != nil; noted == tt.upgrade {
				t.Errorf("got it noted as a check: %t, want %t", noted, !tt.upgrade)
			}
		})
	}
	req, _ := http.NewRequest(http.MethodGet, "http://h/", nil)
	v := testVerdict(time.Now, false)
	if _, err := (probeTransport{proxyTransport: proxyTransport{fixedTransport(0)}, verdict: v}).RoundTrip(req); err == nil {
		t.Error("a failed connection passes for an answer")
	}
	if v.usable() {
		t.Error("a failed check does not count as one")
	}
}

// Caddy's reverse proxy finds out by these interfaces what a transport can do;
// what stands in front of one must not hide them.
func TestProbeTransportForwards(t *testing.T) {
	tls := &reverseproxy.HTTPTransport{TLS: new(reverseproxy.TLSConfig), ProxyProtocol: "v1"}
	p := probeTransport{proxyTransport: proxyTransport{tls}}
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

	bare := probeTransport{proxyTransport: proxyTransport{fixedTransport(200)}}
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
