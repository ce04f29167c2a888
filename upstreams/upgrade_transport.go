package upstreams

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// handover is one attempt at an upgrade while Caddy's reverse proxy has it. To
// the proxy it is the response writer; its transport finds it in the context.
type handover struct {
	*caddyhttp.ResponseWriterWrapper
	attempt *engine.Attempt
	watch   *watch

	status  int            // of the upstream; 0 before it has answered
	refused engine.Outcome // of an answer that is a failure
	written bool           // the client has the head of an answer
}

// switched tells that the client has the upstream's consent to the upgrade.
func (h *handover) switched() bool {
	return h.written && h.status == http.StatusSwitchingProtocols
}

// WriteHeader implements http.ResponseWriter. An upgrade is a good answer from
// here on, not only when its connection is over.
func (h *handover) WriteHeader(status int) {
	interim := status < 200 && status != http.StatusSwitchingProtocols
	if !interim && !h.written {
		h.written = true
		if h.switched() {
			h.attempt.Answered()
		}
	}
	h.ResponseWriterWrapper.WriteHeader(status)
}

// upgradeKey is where the context of an upgrade's round trip holds its
// handover. That of a health check has none.
type upgradeKey struct{}

func isUpgrade(ctx context.Context) bool { return ctx.Value(upgradeKey{}) != nil }

// upgradeTransport makes the round trips of a deployment's reverse proxy. It
// adds the secrets that the proxy is not to log, and bounds the wait.
type upgradeTransport struct {
	proxyTransport
	deployment *Deployment
}

// RoundTrip implements http.RoundTripper.
func (t upgradeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	h, ok := r.Context().Value(upgradeKey{}).(*handover)
	if !ok {
		return t.RoundTripper.RoundTrip(r)
	}
	res, err := t.RoundTripper.RoundTrip(t.deployment.complete(r))
	switch {
	case err != nil && context.Cause(h.watch.ctx) == errLimit:
		return nil, errLimit // or the proxy would take it for a client that left
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusSwitchingProtocols && !h.watch.timer.Stop():
		_ = res.Body.Close()
		return nil, errLimit
	case res.StatusCode >= 400:
		h.refused = judged(t.deployment, retry.Classify(res.StatusCode, res.Header, nil), res.Header, nil)
	}
	h.status = res.StatusCode
	return res, nil
}

// hiddenKey stands for the key in the requests that Caddy's reverse proxy logs,
// and on which header operations work.
const hiddenKey = "REDACTED"

// splitKey takes what the key's header holds apart.
func (d *Deployment) splitKey() (prefix, secret string) {
	if d.keyHeader == "Authorization" {
		return "Bearer ", strings.TrimPrefix(d.key[0], "Bearer ")
	}
	return "", d.key[0]
}

// complete is the request with the deployment's key and the query of its
// address, and without the proxy's own Via.
func (d *Deployment) complete(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	r.URL.RawQuery = d.base.rawQuery(r.URL.RawQuery)
	if d.key != nil {
		_, secret := d.splitKey()
		for i, value := range r.Header[d.keyHeader] {
			r.Header[d.keyHeader][i] = strings.Replace(value, hiddenKey, secret, 1)
		}
	}
	if via := r.Header["Via"]; len(via) > 0 && strings.HasSuffix(via[0], " Caddy") {
		r.Header["Via"] = slices.Delete(via, 0, 1)
	}
	return r
}
