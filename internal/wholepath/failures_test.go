package wholepath

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// failure is an upstream's bad answer and what the router makes of it.
type failure struct {
	name  string
	step  scripted.Step
	class string
	// cools is how long the first such answer leaves the deployment out; 0 for
	// one that only counts or does not matter.
	cools time.Duration
}

const defaultCooldown = 5 * time.Second

var recoverable = []failure{
	{"429", scripted.Error(429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests"), "rate_limit", defaultCooldown},
	{"429 whose text looks like a long prompt", scripted.Error(429, "tokens", "rate_limit_exceeded",
		"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000."), "rate_limit", defaultCooldown},
	{"402", scripted.Error(402, "", "", "Payment required"), "quota", 5 * time.Minute},
	{"429 without quota", scripted.Error(429, "insufficient_quota", "insufficient_quota",
		"You exceeded your current quota, please check your plan and billing details."), "quota", 5 * time.Minute},
	{"404 of the model", scripted.Error(404, "invalid_request_error", "model_not_found", "The model `p` does not exist"), "not_found", defaultCooldown},
	{"503", scripted.Reply(503, nil, `{}`), "overloaded", 0},
	{"503 while a model loads", scripted.Error(503, "unavailable_error", "", "Loading model"), "overloaded", 0},
	{"529", scripted.Reply(529, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), "overloaded", 0},
	{"409 of a busy slot", scripted.Error(409, "", "", "slot is busy"), "overloaded", 0},
	{"500 that says overloaded", scripted.Reply(500, nil, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), "overloaded", 0},
	{"500", scripted.Error(500, "server_error", "", "The server had an error"), "server_error", 0},
	{"502 in HTML", scripted.Reply(502, http.Header{"Content-Type": {"text/html"}}, "<h1>Bad Gateway</h1>"), "server_error", 0},
	{"408", scripted.Reply(408, nil, `{}`), "timeout", 0},
	{"504", scripted.Reply(504, nil, `{}`), "timeout", 0},
	{"reset before the response", scripted.ResetBeforeHeaders(), "connection", 0},
	{"cut inside the body", scripted.CutAfter(80, scripted.OK("an answer that is cut")), "connection", 0},
	{"101 to a request for no upgrade", switched, "server_error", 0},
	{"200 with an error in it", scripted.Reply(200, nil, `{"error":{"message":"The server is overloaded","type":"server_error","code":503}}`), "overloaded", 0},
}

// switched takes the connection for another protocol, which nobody has asked for.
func switched(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
}

func TestRecoverableFailuresFailOver(t *testing.T) {
	for _, tt := range recoverable {
		t.Run(tt.name, func(t *testing.T) {
			checkFailover(t, tt, "")
		})
	}
	key := "api_key own-key"
	for _, status := range []int{401, 403} {
		t.Run(http.StatusText(status)+" with a key of the router's own", func(t *testing.T) {
			checkFailover(t, failure{"", scripted.Error(status, "", "", "Forbidden"), "auth", defaultCooldown}, key)
		})
	}
}

// checkFailover sends two requests: the second tells whether the first failure
// has left the deployment out.
func checkFailover(t *testing.T, f failure, block string) {
	t.Helper()
	a, b := scripted.New(t).Always(f.step), scripted.New(t).Always(scripted.OK("from b"))
	pool := strings.Replace(twoInOrder(a, b, ""), a.URL, a.URL+" {\n"+block+"\n}", 1)
	s := routerWith(t, pool)
	ask(t, s, chatPath, plain, "Authorization", "Bearer client-key").served(t, "from b", "b", 2, 0)
	counts(t, "a", a, 1)
	counts(t, "b", b, 1)
	msg := "attempt failed"
	if f.cools > 0 {
		msg = "attempt failed, deployment cools down"
	}
	if e := lines(s, msg); len(e) != 1 || e[0].Fields["error_class"] != f.class || e[0].Fields["deployment"] != "a" {
		t.Errorf("got log lines %v, want one %q of deployment a with class %s", e, msg, f.class)
	}
	if f.cools > 0 {
		if _, length := cooled(t, s); length != f.cools {
			t.Errorf("got a cooldown of %v, want %v", length, f.cools)
		}
	}
	if warnings := lines(s, "request failed"); len(warnings) != 0 {
		t.Errorf("got %d warnings for a request that was served, want none", len(warnings))
	}
	want := 2
	if f.cools > 0 {
		want = 1
	}
	ask(t, s, chatPath, plain).served(t, "from b", "b", want, 0)
	counts(t, "a", a, want)
}

// These answers are the client's to see: nobody else would answer otherwise.
func TestFinalAnswersArePassedOnAsTheyAre(t *testing.T) {
	odd := "{ \"error\" : {\"message\":\"'messages' is\\u0020missing\",\r\n\t\"type\":\"invalid_request_error\" } }\n"
	tests := []struct {
		name   string
		status int
		body   string
		class  string
	}{
		{"bad request, byte for byte", 400, odd, "bad_request"},
		{"422", 422, `{"detail":[{"loc":["body","messages"],"msg":"field required"}]}`, "bad_request"},
		{"405", 405, `{"detail":"Method Not Allowed"}`, "bad_request"},
		{"501", 501, `{"error":{"message":"not implemented"}}`, "bad_request"},
		{"401 with the client's own key", 401, `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`, "client_auth"},
		{"403 with the client's own key", 403, `{"error":{"message":"Forbidden"}}`, "client_auth"},
		{"content filter", 400, `{"error":{"message":"The response was filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, "content_policy"},
		{"long prompt and no larger window", 400, `{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}`, "context_window"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := http.Header{"Content-Type": {"application/json; odd=1"}, "X-Request-Id": {"req-1"}, "X-Two": {"1", "2"}}
			a := scripted.New(t).Always(scripted.Reply(tt.status, header, tt.body))
			b := scripted.New(t)
			s := routerWith(t, twoInOrder(a, b, ""))
			for n := range 6 { // more than the failures that would cool
				g := ask(t, s, chatPath, plain, "Authorization", "Bearer client-key")
				if g.status != tt.status || g.body != tt.body || g.err != nil {
					t.Fatalf("request %d: got %d %q %v, want %d %q", n, g.status, g.body, g.err, tt.status, tt.body)
				}
				for name, values := range header {
					if strings.Join(g.header[name], "|") != strings.Join(values, "|") {
						t.Errorf("%s: got %q, want %q", name, g.header[name], values)
					}
				}
				if v := g.header.Get("X-Should-Retry"); v != "false" {
					t.Errorf("X-Should-Retry: got %q, want false", v)
				}
				g.by(t, "a", 1, 0)
			}
			counts(t, "a", a, 6)
			counts(t, "b", b, 0)
			if e := lines(s, "request failed"); len(e) != 6 || e[0].Level != "warn" || e[0].Fields["error_class"] != tt.class {
				t.Errorf("got %d lines %v; want one warning for each request, of class %s", len(e), e, tt.class)
			}
		})
	}
}

func TestClientsKeyOnlyReachesDeploymentsWithoutOne(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Reply(503, nil, "{}")), scripted.New(t)
	pool := strings.Replace(twoInOrder(a, b, ""), "order 2", "order 2\napi_key own-key api-key", 1)
	s := routerWith(t, pool)
	ask(t, s, chatPath, plain, "Authorization", "Bearer client-key", "Api-Key", "client-too").served(t, "ok", "b", 2, 0)
	if h := a.Last(t).Header; h.Get("Authorization") != "Bearer client-key" || h.Get("Api-Key") != "client-too" {
		t.Errorf("deployment without a key: got %v, want the client's keys", h)
	}
	if h := b.Last(t).Header; h.Get("Authorization") != "" || h.Get("Api-Key") != "own-key" {
		t.Errorf("deployment with a key: got %v, want its own alone", h)
	}
}

// A class that counts leaves a deployment out at more than half of at least
// five requests.
func TestCountsCoolADeployment(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Reply(500, nil, "{}")), scripted.New(t)
	s := routerWith(t, twoInOrder(a, b, ""))
	for n := range 8 {
		attempts := 2
		if n >= 5 {
			attempts = 1
		}
		ask(t, s, chatPath, plain).served(t, "ok", "b", attempts, 0)
	}
	counts(t, "a", a, 5)
	counts(t, "b", b, 8)
	if e, length := cooled(t, s); length != defaultCooldown || e.Fields["deployment"] != "a" {
		t.Errorf("got cooldown %v of %v, want %v of a", length, e.Fields["deployment"], defaultCooldown)
	}
}

// The last usable deployment of a pool without a fallback is better than none.
func TestCountsDoNotCoolTheLastDeployment(t *testing.T) {
	a := scripted.New(t).Always(scripted.Reply(500, nil, "{}"))
	s := routerWith(t, alone(a, "retries 0"))
	for range 8 {
		if g := ask(t, s, chatPath, plain); g.status != 500 {
			t.Fatalf("got status %d, want the upstream's 500", g.status)
		}
	}
	counts(t, "a", a, 8)
	if e := lines(s, "attempt failed, deployment cools down"); len(e) != 0 {
		t.Errorf("got cooldowns %v, want none", e)
	}
}
