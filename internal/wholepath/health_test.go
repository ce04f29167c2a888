package wholepath

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What active health checks that speak LLM find out, and what becomes of it.

// probed is a pool p of deployment a and, behind it, deployment b, both probed.
func probed(a, b *scripted.Upstream, probe, policy string) string {
	const block = "\tapi_key sk-own\n\thealth_probe %s\n\thealth_interval 20ms\n"
	return fmt.Sprintf("retries 0\ncooldown off\n%s\npool p {\n\tdeployment a %s {\n"+block+"}\n\tdeployment b %s {\n\torder 2\n"+block+"}\n}\n",
		policy, a.URL, probe, b.URL, probe)
}

// isProbe tells a health probe from a client's request.
func isProbe(method string, body []byte) bool {
	return method == http.MethodGet || strings.Contains(string(body), `"ping"`)
}

// whenProbed does one thing with probes and answers requests.
func whenProbed(step scripted.Step) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			step(w, r)
			return
		}
		var body struct {
			Messages []struct{ Content string }
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err == nil && len(body.Messages) == 1 && body.Messages[0].Content == "ping" {
			step(w, r)
			return
		}
		jsonAnswer(200)(w, r)
	}
}

// probesAndRequests counts what an upstream was asked.
func probesAndRequests(u *scripted.Upstream) (probes, requests int) {
	for _, r := range u.Requests() {
		if isProbe(r.Method, r.Body) {
			probes++
		} else {
			requests++
		}
	}
	return probes, requests
}

// moreProbes waits until an upstream has had some probes from now on, all but
// the last of which have had their effect.
func moreProbes(t *testing.T, u *scripted.Upstream) {
	t.Helper()
	before, _ := probesAndRequests(u)
	eventually(t, "more probes", 5*time.Second, func() bool {
		now, _ := probesAndRequests(u)
		return now >= before+4
	})
}

// servedBy is the deployment that serves a request, or the status of a refusal.
func servedBy(t *testing.T, s *caddyharness.Server) string {
	t.Helper()
	g := ask(t, s, chatPath, plain)
	if g.status != http.StatusOK {
		return fmt.Sprint(g.status)
	}
	return g.header.Get("X-Llm-Deployment")
}

func TestHealthProbeDecidesBeforeARequestFails(t *testing.T) {
	failing := scripted.Error(503, "overloaded_error", "", "loading model")
	for _, probe := range []string{"models", "completion"} {
		t.Run(probe, func(t *testing.T) {
			a, b := scripted.New(t).Always(whenProbed(failing)), scripted.New(t)
			s := routerWith(t, probed(a, b, probe, ""))
			moreProbes(t, a)
			for range 5 {
				ask(t, s, chatPath, plain).served(t, "ok", "b", 1, 0)
			}
			if _, n := probesAndRequests(a); n != 0 {
				t.Errorf("the unhealthy deployment got %d requests, want none", n)
			}
			a.Always(scripted.OK("ok"))
			eventually(t, "the check to say that a is back", 5*time.Second, func() bool { return len(lines(s, "host is up")) > 0 })
			ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
		})
	}
}

func TestHealthProbeVerdicts(t *testing.T) {
	fail := scripted.Error
	tests := []struct {
		name string
		step scripted.Step
		want string // who serves
	}{
		{"busy", fail(429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached"), "a"},
		{"a limit that the model refuses", fail(400, "invalid_request_error", "unsupported_parameter", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."), "a"},
		{"a bad key", fail(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided"), "b"},
		{"an unknown model", fail(404, "invalid_request_error", "model_not_found", "The model does not exist"), "b"},
		{"no money left", fail(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota"), "b"},
		{"an error with the status of an answer", scripted.Reply(200, nil, `{"error":{"message":"boom","type":"server_error","code":500}}`), "b"},
		{"a reset", scripted.ResetBeforeHeaders(), "b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(whenProbed(tt.step)), scripted.New(t)
			s := routerWith(t, probed(a, b, "completion", ""))
			moreProbes(t, a)
			eventually(t, tt.want+" to serve", 5*time.Second, func() bool { return servedBy(t, s) == tt.want })
			if tt.want == "a" { // and stays
				moreProbes(t, a)
				ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
			}
		})
	}
	t.Run("slower than health_timeout", func(t *testing.T) {
		a, b := scripted.New(t).Always(whenProbed(scripted.Hang())), scripted.New(t)
		s := routerWith(t, strings.ReplaceAll(probed(a, b, "completion", ""), "health_interval", "health_timeout 30ms\nhealth_interval"))
		eventually(t, "a to be left out", 5*time.Second, func() bool { return servedBy(t, s) == "b" })
	})
	t.Run("a bad key of nobody's", func(t *testing.T) {
		a, b := scripted.New(t).Always(whenProbed(fail(401, "invalid_request_error", "", "You didn't provide an API key"))), scripted.New(t)
		s := routerWith(t, strings.ReplaceAll(probed(a, b, "models", ""), "api_key sk-own", ""))
		moreProbes(t, a)
		if got := servedBy(t, s); got != "a" {
			t.Errorf("got %s, want a", got)
		}
	})
	t.Run("as many as health_fails and health_passes say", func(t *testing.T) {
		bad, good := whenProbed(fail(503, "", "", "down")), scripted.OK("ok")
		a, b := scripted.New(t), scripted.New(t)
		a.Then(good, bad, bad, good, bad, bad, good) // never three in a row
		s := routerWith(t, strings.ReplaceAll(probed(a, b, "models", ""), "health_interval", "health_fails 3\nhealth_interval"))
		eventually(t, "all steps", 5*time.Second, func() bool {
			n, _ := probesAndRequests(a)
			return n > 7 || servedBy(t, s) != "a"
		})
		if got := servedBy(t, s); got != "a" {
			t.Errorf("got %s, want a", got)
		}
	})
}

func TestHealthProbeSpeaksLikeRequests(t *testing.T) {
	tests := []struct {
		name, base, block      string
		method, path, query    string
		model                  string
		header, value, missing string
	}{
		{"models", "/openai/v1?api-version=1", "api_key sk-own api-key\nhealth_probe models", "GET", "/openai/v1/models", "api-version=1", "", "Api-Key", "sk-own", "Authorization"},
		{"completion", "/openai/v1?api-version=1", "api_key sk-own\nmodel own\nhealth_probe completion", "POST", "/openai/v1/chat/completions", "api-version=1", "own", "Authorization", "Bearer sk-own", "Api-Key"},
		{"by the pool's name", "", "health_probe completion", "POST", "/v1/chat/completions", "", "p", "Content-Type", "application/json", "Authorization"},
		{"with header_up", "/v1", "health_probe completion\nheader_up X-Api-Key sk-own\nheader_up X-Of {header.X-Of}", "POST", "/v1/chat/completions", "", "p", "X-Api-Key", "sk-own", "X-Of"},
		{"with health_headers", "/v1", "api_key sk-own\nhealth_probe models\nheader_up X-Probe no\nhealth_headers {\nX-Probe yes\n}", "GET", "/v1/models", "", "", "X-Probe", "yes", "X-Of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := scripted.New(t)
			s := routerWith(t, deployment(u.URL+tt.base, tt.block+"\nhealth_interval 20ms"))
			r := u.WaitCount(t, 2)[1]
			if r.Method != tt.method || r.Path != tt.path || r.Query.Encode() != tt.query || r.Host != u.Addr {
				t.Errorf("got %s %s?%s, Host %q; want %s %s?%s", r.Method, r.Path, r.Query.Encode(), r.Host, tt.method, tt.path, tt.query)
			}
			if got := r.Header.Get(tt.header); got != tt.value {
				t.Errorf("%s: got %q, want %q", tt.header, got, tt.value)
			}
			if got, there := r.Header[tt.missing]; there {
				t.Errorf("%s: got %q, want none", tt.missing, got)
			}
			if tt.model != "" {
				var body struct {
					Model     string
					MaxTokens int `json:"max_tokens"`
				}
				if err := json.Unmarshal(r.Body, &body); err != nil || body.Model != tt.model || body.MaxTokens != 1 {
					t.Errorf("got %s, want one token of %s", r.Body, tt.model)
				}
			}
			ask(t, s, chatPath, plain).served(t, "ok", "d", 1, 0)
			for _, e := range s.Logs() {
				if strings.Contains(e.Raw, "sk-own") {
					t.Errorf("the key is in the log: %s", e.Raw)
				}
			}
		})
	}
}

// Of an address of the user's own, too, a busy server is alive, whatever status
// and body were expected.
func TestBusyIsAliveForHealthURI(t *testing.T) {
	for _, block := range []string{"", "health_status 204", "health_status 4xx", "health_body ready", "health_status 200\nhealth_body ^ready$"} {
		t.Run(block, func(t *testing.T) {
			a, b := scripted.New(t).Always(whenProbed(scripted.Reply(429, nil, "busy"))), scripted.New(t)
			s := routerWith(t, strings.Replace(probed(a, b, "models", ""), "health_probe models", "health_uri /health\n"+block, 1))
			moreProbes(t, a)
			ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
			a.Always(whenProbed(scripted.Reply(500, nil, "down")))
			eventually(t, "a to be left out", 5*time.Second, func() bool { return servedBy(t, s) != "a" })
		})
	}
}

func TestHealthProbesThatHoldAllForDown(t *testing.T) {
	down := whenProbed(scripted.Error(500, "server_error", "", "down"))
	t.Run("all are used", func(t *testing.T) {
		a, b := scripted.New(t).Always(down), scripted.New(t).Always(down)
		s := routerWith(t, probed(a, b, "models", ""))
		moreProbes(t, a)
		moreProbes(t, b)
		ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
	})
	t.Run("none is used without health_panic", func(t *testing.T) {
		a, b := scripted.New(t).Always(down), scripted.New(t).Always(down)
		s := routerWith(t, probed(a, b, "models", "health_panic off"))
		moreProbes(t, a)
		moreProbes(t, b)
		g := ask(t, s, chatPath, plain)
		if g.status != http.StatusServiceUnavailable || g.header.Get("Retry-After") == "" || !strings.Contains(g.body, "no_deployment_available") {
			t.Errorf("got status %d, %v, %s; want 503 with Retry-After", g.status, g.header, g.body)
		}
		for name, u := range map[string]*scripted.Upstream{"a": a, "b": b} {
			if _, n := probesAndRequests(u); n != 0 {
				t.Errorf("%s has had %d requests, want none", name, n)
			}
		}
	})
}

// stuckChecks is a transport whose health checks fail, and hang once its test
// says so.
type stuckChecks struct{}

var (
	registerStuckChecks = sync.OnceFunc(func() { caddy.RegisterModule(stuckChecks{}) })
	// checksGoOn ends what hangs; nil for checks that do not.
	checksGoOn atomic.Pointer[chan struct{}]
)

func (stuckChecks) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.stuck_checks", New: func() caddy.Module { return new(stuckChecks) }}
}

func (stuckChecks) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return http.DefaultTransport.RoundTrip(r)
	}
	if goOn := checksGoOn.Load(); goOn != nil {
		<-*goOn // whatever the request's deadline
	}
	return nil, os.ErrDeadlineExceeded
}

func TestStaleHealthIsNotBelieved(t *testing.T) {
	registerStuckChecks()
	checksGoOn.Store(nil)
	a, b := scripted.New(t), scripted.New(t)
	config := `{"apps":{"http":{"servers":{"s":{"listen":[":8080"],"routes":[{"handle":[{"handler":"llm_router","pools":[{"name":"p","deployments":[
		{"id":"a","base_url":"` + a.URL + `","health_probe":"models","reverse_proxy":{
			"transport":{"protocol":"stuck_checks"},
			"health_checks":{"active":{"interval":"50ms","timeout":"150ms"}}}},
		{"id":"b","base_url":"` + b.URL + `","order":2}
	]}]}]}]}}}}}`
	s := caddyharness.Load(t, config)
	eventually(t, "a to be left out", 5*time.Second, func() bool { return servedBy(t, s) == "b" })
	time.Sleep(300 * time.Millisecond) // past the bound, while checks still end
	if got := servedBy(t, s); got != "b" {
		t.Errorf("got %s while the checks go on failing, want b", got)
	}
	goOn := make(chan struct{})
	t.Cleanup(func() { close(goOn) })
	checksGoOn.Store(&goOn)
	eventually(t, "a to be back, as nobody knows of it", 5*time.Second, func() bool { return servedBy(t, s) == "a" })
}

// Config errors that a Caddyfile cannot have, or finds out only when loaded.
func TestHealthProbeConfigErrors(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	pool := func(name, fields string) string {
		return `"pools":[{"name":"` + name + `","deployments":[{"id":"d","base_url":"http://h"` + fields + `}]}]`
	}
	for _, tt := range []struct {
		name, fields string
		want         []string
	}{
		{"an unknown probe", pool("a", `,"health_probe":"ping"`), []string{`pool "a"`, `deployment "d"`, `health_probe "ping"`, "models or completion"}},
		{"a wildcard without a name to ask for", pool("a/*", `,"health_probe":"completion"`), []string{`pool "a/*"`, `deployment "d"`, "completion", "write a model without *"}},
		{"a wildcard model", pool("a/*", `,"model":"b/*","health_probe":"completion"`), []string{`"b/*"`, "write a model without *"}},
		{"a URI beside it", pool("a", `,"health_probe":"models","reverse_proxy":{"health_checks":{"active":{"uri":"/health"}}}`), []string{"health_checks.active.uri", "beside health_probe"}},
		{"dynamic upstreams", pool("a", `,"health_probe":"models","reverse_proxy":{"dynamic_upstreams":{"source":"a","name":"h","port":"80"}}`), []string{"dynamic", "health_probe"}},
		{"a negative interval", pool("a", `,"health_probe":"models","reverse_proxy":{"health_checks":{"active":{"interval":-1}}}`), []string{"interval", "negative"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := validateJSON(handlerConfig(tt.fields))
			if err == nil {
				t.Fatalf("got no error, want one with %q", tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to contain %q", err, want)
				}
			}
		})
	}
	for name, fields := range map[string]string{
		"models of a wildcard":            pool("a/*", `,"health_probe":"models"`),
		"completion of a wildcard's name": pool("a/*", `,"model":"b","health_probe":"completion"`),
	} {
		if err := validateJSON(handlerConfig(fields)); err != nil {
			t.Errorf("%s: got %v, want it to be valid", name, err)
		}
	}
}
