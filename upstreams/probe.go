package upstreams

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

const (
	// Caddy's own defaults, which hold where the config says nothing.
	defaultCheckInterval = 30 * time.Second
	defaultCheckTimeout  = 5 * time.Second

	// checkSpread is the share of its interval by which a deployment's checks
	// may come sooner, so that those of many deployments, which all begin when
	// the config is loaded, do not stay in step.
	checkSpread = 0.1
)

// checksHealth tells whether active health checks are configured that can run.
func checksHealth(proxy *reverseproxy.Handler) bool {
	checks := proxy.HealthChecks
	return checks != nil && checks.Active != nil && checks.Active.IsEnabled() && len(proxy.Upstreams) > 0
}

// prepareHealthChecks sets up what active health checks need before Caddy
// starts them, if there are any.
func (d *Deployment) prepareHealthChecks(proxy *reverseproxy.Handler, pool string) error {
	llm, err := d.prepareHealthProbe(proxy, pool)
	if err != nil || !checksHealth(proxy) {
		return err
	}
	active := proxy.HealthChecks.Active
	if active.Interval < 0 || active.Timeout < 0 {
		return errors.New("reverse_proxy.health_checks.active: interval or timeout is negative")
	}
	interval := time.Duration(active.Interval)
	if interval == 0 {
		interval = defaultCheckInterval
	}
	timeout := time.Duration(active.Timeout)
	if timeout == 0 {
		timeout = defaultCheckTimeout
	}
	active.Interval = caddy.Duration(spread(interval, rand.Float64()))
	if active.ExpectBody != "" {
		if _, err := regexp.Compile(active.ExpectBody); err != nil {
			return fmt.Errorf("reverse_proxy.health_checks.active.expect_body: %w", err)
		}
		active.ExpectBody = "(?:" + active.ExpectBody + `)|\A` + goodBody + `\z`
	}
	d.speak(active)
	d.verdict = &verdict{
		healthy: proxy.Upstreams[0].Healthy, believed: 2*interval + timeout, now: time.Now,
	}
	probe := probeTransport{
		proxyTransport: proxyTransport{proxy.Transport}, status: active.ExpectStatus, body: active.ExpectBody != "",
		llm: llm, verdict: d.verdict,
	}
	proxy.Transport = probe
	if d.sharing.link != nil {
		proxy.Transport = newSharedProbe(probe, d.sharing.link, active, interval, timeout)
	}
	return nil
}

// spread shortens an interval by a random part of checkSpread. random is the
// draw, from [0, 1).
func spread(interval time.Duration, random float64) time.Duration {
	return interval - time.Duration(float64(interval)*checkSpread*random)
}

// speak makes active health checks speak like requests: with the deployment's
// key, its host and, where the URI begins with /v1, its prefix.
func (d *Deployment) speak(active *reverseproxy.ActiveHealthChecks) {
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
}

// probeTransport is the transport of active health checks: it lets Caddy see
// what an answer means rather than what its status says, and notes when a check
// has ended.
type probeTransport struct {
	proxyTransport
	status  int       // that Caddy waits for; its first digit for all of a kind, 0 for any 2xx
	body    bool      // Caddy waits for a body of its own
	llm     *llmProbe // nil for checks of a health_uri
	verdict *verdict
}

// goodBody stands for the body that Caddy waits for, of a server that is too busy
// to send it, or that another instance has asked.
const goodBody = "llm_router: good"

// RoundTrip implements http.RoundTripper.
func (t probeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if isUpgrade(r.Context()) {
		return t.RoundTripper.RoundTrip(r)
	}
	defer t.verdict.note(0)
	if t.llm != nil {
		return t.llm.roundTrip(t.RoundTripper, r)
	}
	res, err := t.RoundTripper.RoundTrip(r)
	if err == nil && res.StatusCode == http.StatusTooManyRequests { // alive, however busy
		res.StatusCode = t.goodStatus()
		if t.body {
			res.Body = struct {
				io.Reader
				io.Closer
			}{strings.NewReader(goodBody), res.Body}
		}
	}
	return res, err
}

// goodStatus is a status that Caddy takes for that of a healthy server.
func (t probeTransport) goodStatus() int {
	switch {
	case t.status >= 100:
		return t.status
	case t.status > 0:
		return 100 * t.status
	default:
		return http.StatusOK
	}
}
