package upstreams

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func TestPrepareHealthProbe(t *testing.T) {
	tests := []struct {
		name, base, probe, pool, model string
		uri, method, asks              string
	}{
		{"models", "https://h/openai/v1", "models", "gpt-4o", "", "/openai/v1/models", "", ""},
		{"models of a wildcard", "https://h", "models", "openai/*", "*", "/v1/models", "", ""},
		{"models with a query", "https://h/openai?api-version=1", "models", "gpt-4o", "", "/openai/models?api-version=1", "", ""},
		{"completion", "https://h/openai/v1", "completion", "gpt-4o", "gpt-4o-2024-11-20", "/openai/v1/chat/completions", "POST", "gpt-4o-2024-11-20"},
		{"completion by the pool's name", "https://h", "completion", "gpt-4o", "", "/v1/chat/completions", "POST", "gpt-4o"},
		{"completion of a wildcard with a model", "https://h", "completion", "openai/*", "gpt-4o", "/v1/chat/completions", "POST", "gpt-4o"},
		{"a name to be escaped", "https://h", "completion", "p", `a "b" {env.HOME} \ü`, "/v1/chat/completions", "POST", `a "b" {env.HOME} \ü`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bareDeployment(t, tt.base)
			d.HealthProbe, d.Model = tt.probe, tt.model
			proxy := &reverseproxy.Handler{Upstreams: reverseproxy.UpstreamPool{new(reverseproxy.Upstream)}}
			if err := d.prepareHealthChecks(proxy, tt.pool); err != nil {
				t.Fatal(err)
			}
			active := proxy.HealthChecks.Active
			if active.URI != tt.uri || active.Method != tt.method {
				t.Errorf("got %s %s, want %s %s", active.Method, active.URI, tt.method, tt.uri)
			}
			if tt.asks == "" {
				if active.Body != "" {
					t.Errorf("got body %q, want none", active.Body)
				}
				return
			}
			// As Caddy sends it.
			sent := caddy.NewReplacer().ReplaceKnown(active.Body, "")
			var body struct {
				Model     string
				Messages  []struct{ Role, Content string }
				MaxTokens int `json:"max_tokens"`
			}
			if err := json.Unmarshal([]byte(sent), &body); err != nil {
				t.Fatalf("got %q: %v", sent, err)
			}
			if body.Model != tt.asks || body.MaxTokens != 1 || len(body.Messages) != 1 || body.Messages[0].Role != "user" || body.Messages[0].Content == "" {
				t.Errorf("got %s, want one token of %s", sent, tt.asks)
			}
		})
	}
}

func TestPrepareHealthProbeRefuses(t *testing.T) {
	type checks = reverseproxy.ActiveHealthChecks
	tests := []struct {
		name, probe, pool, model string
		active                   *checks
		want                     string
	}{
		{"a wildcard pool without a model", "completion", "openai/*", "", nil, `"openai/*" is no model`},
		{"a wildcard model", "completion", "openai/*", "meta/*", nil, "write a model without *"},
		{"another probe", "embeddings", "p", "", nil, `"embeddings": expected models or completion`},
		{"a URI", "models", "p", "", &checks{URI: "/health"}, "active.uri beside health_probe"},
		{"a path", "models", "p", "", &checks{Path: "/health"}, "active.path beside"},
		{"a method", "models", "p", "", &checks{Method: "HEAD"}, "active.method beside"},
		{"a body", "completion", "p", "", &checks{Body: "{}"}, "active.body beside"},
		{"a status", "models", "p", "", &checks{ExpectStatus: 200}, "active.expect_status beside"},
		{"an expected body", "models", "p", "", &checks{ExpectBody: "ok"}, "active.expect_body beside"},
		{"redirects", "models", "p", "", &checks{FollowRedirects: true}, "active.follow_redirects beside"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bareDeployment(t, "http://h")
			d.HealthProbe, d.Model = tt.probe, tt.model
			err := d.prepareHealthChecks(checkedProxy(tt.active), tt.pool)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	d := &Deployment{ID: "d", HealthProbe: "models"}
	err := d.prepareHealthChecks(&reverseproxy.Handler{DynamicUpstreamsRaw: []byte(`{"source":"a"}`)}, "p")
	if err == nil || !strings.Contains(err.Error(), "dynamic") {
		t.Errorf("got %v, want an error that says that dynamic upstreams are not checked", err)
	}
}

// answering is a transport that gives one answer and keeps what it was asked.
type answering struct {
	status int
	body   io.Reader
	header http.Header
	asked  *http.Request
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.status == 0 {
		return nil, errors.New("refused")
	}
	a.asked = r
	res := response(a.status, "application/json", a.body)
	for name, values := range a.header {
		res.Header[name] = values
	}
	return res, nil
}

// checkRequest is a request as Caddy's checker makes it.
func checkRequest(t *testing.T, method, body string, header http.Header) *http.Request {
	t.Helper()
	ctx := context.WithValue(t.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://h/v1/chat/completions", reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return req
}

func TestHealthProbeVerdicts(t *testing.T) {
	keyed, bare := http.Header{"Authorization": {"Bearer k"}}, http.Header(nil)
	long := `{"object":"list","data":["` + strings.Repeat("x", 2*maxProbeAnswer) + `"]}`
	tests := []struct {
		name   string
		status int
		body   string
		header http.Header
		alive  bool
	}{
		{"an answer", 200, `{"choices":[]}`, keyed, true},
		{"a long list", 200, long, keyed, true},
		{"nothing", 200, "", keyed, true},
		{"an error with the status of an answer", 200, `{"error":{"message":"boom","type":"server_error"}}`, keyed, false},
		{"rate_limit", 429, `{"error":{"message":"Rate limit reached for requests","code":"rate_limit_exceeded"}}`, keyed, true},
		{"rate_limit without a body", 429, "", keyed, true},
		{"quota", 429, `{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`, keyed, false},
		{"no money", 402, "", keyed, false},
		{"a limit under another name", 400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`, keyed, true},
		{"a limit too low for reasoning", 400, `{"error":{"message":"Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.","type":"invalid_request_error"}}`, keyed, true},
		{"a limit below the least", 400, `{"error":{"message":"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead.","type":"invalid_request_error","code":"integer_below_min_value"}}`, keyed, true},
		{"a method that is not allowed", 405, "", keyed, true},
		{"context_window", 400, `{"error":{"message":"This model's maximum context length is 1 tokens","code":"context_length_exceeded"}}`, keyed, true},
		{"content_policy", 400, `{"error":{"message":"filtered","code":"content_filter"}}`, keyed, true},
		{"a bad key", 401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`, keyed, false},
		{"no key to be judged by", 401, `{"error":{"message":"You didn't provide an API key"}}`, bare, true},
		{"an empty key", 401, "", http.Header{"Authorization": {""}}, true},
		{"a key in another header", 403, `{"error":{"message":"Invalid API key","code":"invalid_api_key"}}`, http.Header{"X-Key": {"k"}}, false},
		{"not_found", 404, `{"error":{"message":"The model does not exist","code":"model_not_found"}}`, keyed, false},
		{"no such path", 404, "404 page not found", keyed, false},
		{"overloaded", 503, "", keyed, false},
		{"overloaded, in other words", 529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, keyed, false},
		{"server_error", 500, "", keyed, false},
		{"timeout", 504, "", keyed, false},
		{"timeout of the server", 408, "", keyed, false},
		{"a redirect", 302, "", keyed, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			transport := &answering{status: tt.status, body: strings.NewReader(tt.body)}
			probe := probeTransport{proxyTransport: proxyTransport{transport}, llm: &llmProbe{keyHeader: "X-Key"}, verdict: testVerdict(time.Now, false)}
			res, err := probe.RoundTrip(checkRequest(t, "POST", "{}", tt.header))
			if err != nil {
				t.Fatal(err)
			}
			if got := res.StatusCode >= 200 && res.StatusCode < 300; got != tt.alive {
				t.Errorf("got status %d, want alive %t", res.StatusCode, tt.alive)
			}
			if probe.verdict.ended.Load() == nil {
				t.Error("the check is not noted")
			}
		})
	}
	for name, transport := range map[string]*answering{
		"no connection":        {},
		"an answer that fails": {status: 200, body: iotest.ErrReader(errors.New("reset"))},
	} {
		probe := probeTransport{proxyTransport: proxyTransport{transport}, llm: new(llmProbe), verdict: testVerdict(time.Now, false)}
		if _, err := probe.RoundTrip(checkRequest(t, "GET", "", nil)); err == nil {
			t.Errorf("%s passes for an answer", name)
		}
		if probe.verdict.usable() {
			t.Errorf("%s is not noted", name)
		}
	}
}

// endless is a body without an end; it counts what was read.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 1<<20 {
		return 0, errors.New("too much was read")
	}
	e.read += len(p)
	return copy(p, strings.Repeat(" ", len(p))), nil
}

func TestHealthProbeReadsNoMoreThanItNeeds(t *testing.T) {
	body := new(endless)
	transport := &answering{status: 200, body: body}
	if _, err := new(llmProbe).roundTrip(transport, checkRequest(t, "GET", "", nil)); err != nil {
		t.Errorf("got %v, want an answer judged by its beginning", err)
	}
	if body.read > maxProbeAnswer {
		t.Errorf("got %d bytes read, want at most %d", body.read, maxProbeAnswer)
	}
}

func TestHealthProbeKeepsTheHostOfHealthHeaders(t *testing.T) {
	ops := &headers.HeaderOps{Set: http.Header{"Host": {"by-header-up"}}}
	for name, tt := range map[string]struct {
		own  []string
		want string
	}{
		"of header_up":      {nil, "by-header-up"},
		"of health_headers": {[]string{"Host"}, "by-health-headers"},
	} {
		transport := &answering{status: 200, body: strings.NewReader("{}")}
		r := checkRequest(t, "GET", "", nil)
		r.Host = "by-health-headers"
		probe := &llmProbe{ops: []*headers.HeaderOps{ops}, own: tt.own}
		if _, err := probe.roundTrip(transport, r); err != nil {
			t.Fatal(err)
		}
		if got := transport.asked.Host; got != tt.want {
			t.Errorf("%s: got Host %q, want %q", name, got, tt.want)
		}
	}
}

// A probe carries what the deployment's requests carry, but for what would come
// from a client.
func TestHealthProbeHeaders(t *testing.T) {
	ops := &headers.HeaderOps{
		Set: http.Header{
			"X-Api-Key":         {"sk-own"},
			"Anthropic-Version": {"2023-06-01"},
			"X-Client":          {"{http.request.header.X-Client}"},
			"X-Upstream":        {"{http.reverse_proxy.upstream.hostport}"},
			"X-Both":            {"header_up"},
			"Host":              {"{http.request.host}"},
		},
		Delete: []string{"X-Gone"},
	}
	d := bareDeployment(t, "http://h:8000")
	d.HealthProbe, d.ops = "completion", []*headers.HeaderOps{ops}
	active := &reverseproxy.ActiveHealthChecks{Headers: http.Header{"x-both": {"health_headers"}}}
	probe, err := d.prepareHealthProbe(checkedProxy(active), "p")
	if err != nil {
		t.Fatal(err)
	}
	transport := &answering{status: 200, body: strings.NewReader("{}")}
	r := checkRequest(t, "POST", active.Body, http.Header{"X-Both": {"health_headers"}, "X-Gone": {"1"}})
	r.Host = "h:8000"
	before := r.Header.Clone()
	if _, err := probe.roundTrip(transport, r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-Api-Key": "sk-own", "Anthropic-Version": "2023-06-01", "X-Client": "", "X-Upstream": "h:8000",
		"X-Both": "health_headers", "X-Gone": "", "Content-Type": "application/json",
	} {
		if got := transport.asked.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if transport.asked.Host != "h:8000" {
		t.Errorf("got Host %q, want that of the address", transport.asked.Host)
	}
	if body, _ := io.ReadAll(transport.asked.Body); string(body) != active.Body {
		t.Errorf("got body %q, want %q", body, active.Body)
	}
	if len(r.Header) != len(before) || r.Header.Get("X-Gone") != "1" {
		t.Errorf("got %v, want the checker's own request unchanged: %v", r.Header, before)
	}
}
