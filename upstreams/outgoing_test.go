package upstreams

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// bareDeployment is a deployment as provisioning leaves it, without a Caddy.
func bareDeployment(t *testing.T, baseURL string) *Deployment {
	t.Helper()
	d := &Deployment{ID: "gpu-1", BaseURL: baseURL, proxy: new(reverseproxy.Handler)}
	var err error
	if d.base, err = parseBaseURL(baseURL); err != nil {
		t.Fatal(err)
	}
	if err := d.address(d.proxy); err != nil {
		t.Fatal(err)
	}
	return d
}

// attemptOn is an attempt on a deployment, for the pool gpt-4o.
func attemptOn(d *Deployment) *engine.Attempt {
	return &engine.Attempt{
		Target:    engine.Target{Pool: engine.NewPool("gpt-4o", nil), Model: "gpt-4o"},
		Candidate: &selection.Candidate{ID: d.ID, Upstream: d},
		Limit:     time.Minute, Number: 1,
	}
}

// newExchange is the exchange of a request with a JSON body.
func newExchange(t *testing.T, r *http.Request, body string) (*Exchange, *httptest.ResponseRecorder) {
	t.Helper()
	b, err := apireq.ReadBody(strings.NewReader(body), int64(len(body)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	facts, err := apireq.ScanJSON(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	repl := caddy.NewReplacer()
	r = r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl))
	w := httptest.NewRecorder()
	x := NewExchange(w, r, b, &facts, false)
	t.Cleanup(func() { x.Close() })
	return x, w
}

func post(path string) *http.Request { return httptest.NewRequest(http.MethodPost, path, nil) }

const chatBody = `{"model":"gpt-4o","messages":[]}`

func (x *Exchange) mustOutgoing(t *testing.T, d *Deployment) *http.Request {
	t.Helper()
	req, err := x.outgoing(x.r.Context(), newOutgoing(x), d, attemptOn(d))
	if err == nil {
		return req
	}
	t.Fatal(err)
	return nil
}

func TestTarget(t *testing.T) {
	tests := []struct{ base, client, want string }{
		{"http://h:8000/v1", "/v1/chat/completions", "http://h:8000/v1/chat/completions"},
		{"http://h:8000", "/v1/chat/completions", "http://h:8000/v1/chat/completions"},
		{"http://h/openai/v1", "/v1/chat/completions?a=1", "http://h/openai/v1/chat/completions?a=1"},
		{"https://h/v1", "/v1/models", "https://h/v1/models"},
		{"https://h:8443/v1", "/v1/models", "https://h:8443/v1/models"},
		{"http://[::1]:8000/v1", "/v1/x", "http://[::1]:8000/v1/x"},
		{"http://[::1]/v1", "/v1/x", "http://[::1]/v1/x"},
		{"unix//run/m.sock", "/v1/x", "http://localhost/v1/x"},
		{"http://h/v1", "/v1/files/a%2Fb", "http://h/v1/files/a%2Fb"},
		{"http://h/v1", "/v1/files/a%20b", "http://h/v1/files/a%20b"},
		{"http://h/a%2Fb", "/v1/x", "http://h/a%2Fb/x"},
		{"http://h/a%2Fb", "/v1/files/c%2Fd", "http://h/a%2Fb/files/c%2Fd"},
		{"http://h/a%20b", "/v1/x", "http://h/a%20b/x"},
		{"http://h/a%20b", "/v1/c%20d", "http://h/a%20b/c%20d"},
		{"http://h/v1", "/v1/100%25", "http://h/v1/100%25"},
		{"http://h/v1", "/v1/?", "http://h/v1/?"},
		{"http://h", "//x/y", "http://h//x/y"},
		{"http://h/o?v=1", "/v1/x?v=2&a=b", "http://h/o/x?a=b&v=1"},
	}
	for _, tt := range tests {
		t.Run(tt.base+" "+tt.client, func(t *testing.T) {
			d := bareDeployment(t, tt.base)
			client, err := url.ParseRequestURI(tt.client)
			if err != nil {
				t.Fatal(err)
			}
			before := *client
			var target url.URL
			d.target(&target, client, d.static)
			if got := target.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if *client != before {
				t.Error("the client's URL was changed")
			}
		})
	}
}

func TestOutgoingReplacesTheModelOnly(t *testing.T) {
	tests := []struct{ name, model, body, want string }{
		{"same name: not a byte changed", "", `{"messages":[],  "model" : "gpt-4o" }`, `{"messages":[],  "model" : "gpt-4o" }`},
		{"another name", "llama-3", `{"messages":[],  "model" : "gpt-4o" ,"n":1}`, `{"messages":[],  "model" : "llama-3" ,"n":1}`},
		{"escaped by the client", "llama-3", `{"model":"gpt\u002d4o"}`, `{"model":"llama-3"}`},
		{"name to be escaped", `a"b\c`, `{"model":"gpt-4o"}`, `{"model":"a\"b\\c"}`},
		{"a model further down stays", "llama-3", `{"x":{"model":"y"},"model":"gpt-4o"}`, `{"x":{"model":"y"},"model":"llama-3"}`},
		{"none in the body", "llama-3", `{"messages":[]}`, `{"model":"llama-3","messages":[]}`},
		{"none in an empty body", "llama-3", `{}`, `{"model":"llama-3"}`},
		{"none in an empty body with space", "llama-3", " { \n }", " {\"model\":\"llama-3\" \n }"},
		{"a long body", "llama-3", `{"model":"gpt-4o","x":"` + strings.Repeat("y", 100_000) + `"}`, `{"model":"llama-3","x":"` + strings.Repeat("y", 100_000) + `"}`},
		{"a long body without", "llama-3", `{"x":"` + strings.Repeat("y", 100_000) + `"}`, `{"model":"llama-3","x":"` + strings.Repeat("y", 100_000) + `"}`},
		{"none, after much space", "llama-3", strings.Repeat(" ", 2000) + `{"n":1}`, strings.Repeat(" ", 2000) + `{"model":"llama-3","n":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := bareDeployment(t, "http://h/v1")
			d.Model = tt.model
			x, _ := newExchange(t, post("/v1/chat/completions"), tt.body)
			req := x.mustOutgoing(t, d)
			for range 2 { // the second time as the transport does when it sends again
				got, err := io.ReadAll(req.Body)
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if req.ContentLength != int64(len(tt.want)) {
					t.Errorf("got length %d, want %d", req.ContentLength, len(tt.want))
				}
				if req.Body, err = req.GetBody(); err != nil {
					t.Fatal(err)
				}
			}
			req.Body.Close()
		})
	}
}

func TestOutgoingCarriesTheDialInfo(t *testing.T) {
	for base, want := range map[string]string{
		"unix//run/m.sock":  "unix//run/m.sock",
		"http://h:8000/v1":  "tcp/h:8000",
		"https://h/v1":      "tcp/h:443",
		"http://[::1]:8000": "tcp/[::1]:8000",
	} {
		d := bareDeployment(t, base)
		x, _ := newExchange(t, post("/v1/x"), chatBody)
		info, ok := reverseproxy.GetDialInfo(x.mustOutgoing(t, d).Context())
		if !ok {
			t.Errorf("%s: Caddy's transports find no dial info in the context", base)
			continue
		}
		if got := info.String(); got != want {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
	}
}

// An attempt must leave nothing behind in what the next one is made of.
func TestOutgoingSharesNothingThatHeaderOperationsChange(t *testing.T) {
	every := []headers.Replacement{{Search: "e", Replace: "EE"}}
	d := bareDeployment(t, "http://h/v1")
	d.key, d.keyHeader = []string{"Bearer secret"}, "Authorization"
	d.ops = []*headers.HeaderOps{{Replace: map[string][]headers.Replacement{"*": every}, Add: http.Header{"X-Tenant": {"one"}}}}
	r := post("/v1/x")
	r.Header.Set("X-Tenant", "three")
	r.Header.Set("Accept", "here")
	x, _ := newExchange(t, r, chatBody)
	for range 2 {
		h := x.mustOutgoing(t, d).Header
		for name, want := range map[string][]string{
			"Authorization": {"BEEarEEr sEEcrEEt"}, "Accept-Encoding": {"idEEntity"}, "User-Agent": {""}, "Accept": {"hEErEE"}, "X-Tenant": {"thrEEEE", "onEE"},
		} {
			if !slices.Equal(h[name], want) {
				t.Errorf("%s: got %q, want %q", name, h[name], want)
			}
		}
	}
	if got := r.Header["Accept"][0]; got != "here" {
		t.Errorf("the client's Accept is now %q", got)
	}
	if noEncoding[0] != "identity" || noUserAgent[0] != "" || d.key[0] != "Bearer secret" {
		t.Errorf("shared values were changed: %q, %q, %q", noEncoding, noUserAgent, d.key)
	}
}

func TestOutgoingPlaceholdersOfTheUpstream(t *testing.T) {
	d := bareDeployment(t, "http://gpu-1:8000/v1")
	d.ops = []*headers.HeaderOps{{Set: http.Header{
		"X-Hostport": {"{http.reverse_proxy.upstream.hostport}"}, "X-Host": {"{http.reverse_proxy.upstream.host}"},
		"X-Port": {"{http.reverse_proxy.upstream.port}"}, "Host": {"other.example"},
	}}}
	x, _ := newExchange(t, post("/v1/x"), chatBody)
	req := x.mustOutgoing(t, d)
	if req.Host != "other.example" {
		t.Errorf("got Host %q, want the one that header_up sets", req.Host)
	}
	for name, want := range map[string]string{"X-Hostport": "gpu-1:8000", "X-Host": "gpu-1", "X-Port": "8000"} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// staticSource is a dynamic upstream source without a lookup.
type staticSource struct {
	upstreams []*reverseproxy.Upstream
	err       error
}

func (s staticSource) GetUpstreams(*http.Request) ([]*reverseproxy.Upstream, error) {
	return s.upstreams, s.err
}

func TestOutgoingOfDynamicUpstreams(t *testing.T) {
	tests := []struct {
		name   string
		source staticSource
		policy reverseproxy.Selector
		host   string
		err    string
	}{
		{"first", staticSource{upstreams: []*reverseproxy.Upstream{{Dial: "10.0.0.1:8000"}, {Dial: "10.0.0.2:8000"}}}, reverseproxy.FirstSelection{}, "10.0.0.1:8000", ""},
		{"least_conn needs its counters", staticSource{upstreams: []*reverseproxy.Upstream{{Dial: "10.0.0.2:8000"}}}, reverseproxy.LeastConnSelection{}, "10.0.0.2:8000", ""},
		{"none", staticSource{}, reverseproxy.FirstSelection{}, "", "no upstream among 0"},
		{"no answer", staticSource{err: errors.New("no such host")}, reverseproxy.FirstSelection{}, "", "no such host"},
		{"bad address", staticSource{upstreams: []*reverseproxy.Upstream{{Dial: "h:port"}}}, reverseproxy.FirstSelection{}, "", "upstream address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := &Deployment{ID: "pods", base: baseURL{scheme: "http", host: "localhost"}, proxy: &reverseproxy.Handler{
				DynamicUpstreams: tt.source, LoadBalancing: &reverseproxy.LoadBalancing{SelectionPolicy: tt.policy},
			}}
			x, _ := newExchange(t, post("/v1/x"), chatBody)
			req, err := x.outgoing(t.Context(), newOutgoing(x), d, attemptOn(d))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want an error with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if req.URL.Host != tt.host || req.Host != tt.host {
				t.Errorf("got URL host %q, Host %q; want %q", req.URL.Host, req.Host, tt.host)
			}
		})
	}
}

func TestModelFor(t *testing.T) {
	tests := []struct{ model, asked, star, want string }{
		{"", "gpt-4o", "", "gpt-4o"},
		{"llama", "gpt-4o", "", "llama"},
		{"*", "openai/gpt-4o", "gpt-4o", "gpt-4o"},
		{"models/*", "openai/gpt-4o", "gpt-4o", "models/gpt-4o"},
		{"*-eu", "openai/a*b", "a*b", "a*b-eu"},
	}
	for _, tt := range tests {
		d := &Deployment{Model: tt.model}
		if got := d.modelFor(tt.asked, tt.star); got != tt.want {
			t.Errorf("model %q, asked %q, star %q: got %q, want %q", tt.model, tt.asked, tt.star, got, tt.want)
		}
	}
}
