package upstreams

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// What a health probe asks for.
const (
	probeModels     = "models"
	probeCompletion = "completion"
)

// maxProbeAnswer is how much of an answer is read to judge it.
const maxProbeAnswer = 64 << 10

// besideProbe are the subdirectives that say what a health check asks and
// expects, which a probe knows itself, with what JSON calls them.
var besideProbe = [...]struct {
	subdirective, field string
	set                 func(*reverseproxy.ActiveHealthChecks) bool
}{
	{"health_uri", "uri", func(a *reverseproxy.ActiveHealthChecks) bool { return a.URI != "" }},
	{"health_path", "path", func(a *reverseproxy.ActiveHealthChecks) bool { return a.Path != "" }}, //nolint:staticcheck // deprecated, and still read by Caddy
	{"health_method", "method", func(a *reverseproxy.ActiveHealthChecks) bool { return a.Method != "" }},
	{"health_request_body", "body", func(a *reverseproxy.ActiveHealthChecks) bool { return a.Body != "" }},
	{"health_status", "expect_status", func(a *reverseproxy.ActiveHealthChecks) bool { return a.ExpectStatus != 0 }},
	{"health_body", "expect_body", func(a *reverseproxy.ActiveHealthChecks) bool { return a.ExpectBody != "" }},
	{"health_follow_redirects", "follow_redirects", func(a *reverseproxy.ActiveHealthChecks) bool { return a.FollowRedirects }},
}

const (
	probeAlone   = "beside health_probe, which has a request of its own and judges the answer; write one of them"
	probeDynamic = "beside health_probe: active health checks do not run for dynamic upstreams"
)

// llmProbe makes the requests of a health probe and judges the answers.
type llmProbe struct {
	ops       []*headers.HeaderOps // what requests get too
	own       []string             // the headers that health_headers set, which win
	keyHeader string
	dial      reverseproxy.DialInfo
}

// prepareHealthProbe turns health_probe into an active health check of Caddy's;
// nil if there is none.
func (d *Deployment) prepareHealthProbe(proxy *reverseproxy.Handler, pool string) (*llmProbe, error) {
	if d.HealthProbe == "" {
		return nil, nil
	}
	if proxy.DynamicUpstreamsRaw != nil {
		return nil, errors.New("reverse_proxy.dynamic_upstreams " + probeDynamic)
	}
	if proxy.HealthChecks == nil {
		proxy.HealthChecks = new(reverseproxy.HealthChecks)
	}
	if proxy.HealthChecks.Active == nil {
		proxy.HealthChecks.Active = new(reverseproxy.ActiveHealthChecks)
	}
	active := proxy.HealthChecks.Active
	for _, other := range besideProbe {
		if other.set(active) {
			return nil, fmt.Errorf("reverse_proxy.health_checks.active.%s %s", other.field, probeAlone)
		}
	}
	switch d.HealthProbe {
	case probeModels:
		active.URI = "/v1/models"
	case probeCompletion:
		model := d.Model
		if model == "" {
			model = pool
		}
		if strings.Contains(model, "*") {
			return nil, fmt.Errorf("health_probe completion: %q is no model that can be asked for; write a model without *, or health_probe models", model)
		}
		active.URI, active.Method, active.Body = "/v1/chat/completions", http.MethodPost, completionBody(model)
	default:
		return nil, fmt.Errorf("health_probe %q: expected models or completion", d.HealthProbe)
	}
	probe := &llmProbe{ops: d.ops, keyHeader: d.keyHeader, dial: *d.static}
	for name := range active.Headers {
		probe.own = append(probe.own, http.CanonicalHeaderKey(name))
	}
	return probe, nil
}

// noPlaceholders writes braces so that Caddy sees no placeholders in JSON.
var noPlaceholders = strings.NewReplacer("{", `\u007b`, "}", `\u007d`)

// completionBody asks for the shortest completion there is.
func completionBody(model string) string {
	return `{"model":` + noPlaceholders.Replace(string(apireq.JSONString(model))) +
		`,"messages":[{"role":"user","content":"ping"}],"max_tokens":1}`
}

// roundTrip sends a probe. Its answer has a status of the 2xx exactly if the
// deployment can be used.
func (p *llmProbe) roundTrip(transport http.RoundTripper, r *http.Request) (*http.Response, error) {
	req := p.request(r)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProbeAnswer))
	if err != nil {
		res.Body.Close()
		return nil, err
	}
	class := retry.Classify(res.StatusCode, res.Header, body)
	if class == retry.Auth && !p.carriesKey(req.Header) {
		class = retry.ClientAuth
	}
	switch {
	case alive(class):
		res.StatusCode = http.StatusOK
	case res.StatusCode < 300: // an error with the status of an answer
		res.StatusCode = http.StatusServiceUnavailable
	}
	return res, nil
}

// alive tells whether an answer of this class comes from a deployment that
// requests may go to. A probe is no good request for every model: a reasoning
// model may refuse a limit of one token.
func alive(class retry.Class) bool {
	switch class {
	case retry.None, retry.RateLimit, retry.BadRequest, retry.ContextWindow, retry.ContentPolicy, retry.ClientAuth:
		return true
	default:
		return false
	}
}

// request gives the check the headers that the deployment's requests get.
func (p *llmProbe) request(r *http.Request) *http.Request {
	req := r.Clone(r.Context())
	if req.Body != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		describe(repl, &p.dial)
		for _, ops := range p.ops {
			ops.ApplyToRequest(req)
		}
	}
	// What would come from a client's request comes from nowhere here.
	for name, values := range req.Header {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "{http.") }) {
			delete(req.Header, name)
		}
	}
	if strings.Contains(req.Host, "{http.") {
		req.Host = r.Host
	}
	for _, name := range p.own {
		if name == "Host" {
			req.Host = r.Host
		} else {
			req.Header[name] = r.Header[name]
		}
	}
	return req
}

// carriesKey tells whether a probe has a key to be judged by. Where the clients
// bring theirs, it has none, and a server that asks for one is alive.
func (p *llmProbe) carriesKey(h http.Header) bool {
	if p.keyHeader != "" && h.Get(p.keyHeader) != "" {
		return true
	}
	for name := range credentials {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}
