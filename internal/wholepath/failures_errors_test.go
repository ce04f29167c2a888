package wholepath

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// dialect is a path, a request for pool p, and how its errors look.
type dialect struct {
	name    string
	path    string
	request string
	// message and kind read an error's text and type, "" where there is none.
	message, kind func(body map[string]any) string
}

func member(v any, path ...string) string {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}

var dialects = []dialect{
	{
		"OpenAI", chatPath, plain,
		func(b map[string]any) string { return member(b, "error", "message") },
		func(b map[string]any) string { return member(b, "error", "type") },
	},
	{
		"Anthropic", messagesPath, `{"model":"p","max_tokens":9,"messages":[]}`,
		func(b map[string]any) string { return member(b, "error", "message") },
		func(b map[string]any) string { return member(b, "type") + "/" + member(b, "error", "type") },
	},
}

// errorTypes are the types of the router's own errors by dialect and status.
var errorTypes = map[string]map[int]string{
	"OpenAI":    {429: "rate_limit_error", 502: "server_error", 503: "server_error", 504: "server_error"},
	"Anthropic": {429: "error/rate_limit_error", 502: "error/api_error", 503: "error/overloaded_error", 504: "error/timeout_error"},
}

// checkError checks an error of the router's own.
func (d dialect) checkError(t *testing.T, g got, status int) {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(g.body), &body); err != nil {
		t.Fatalf("got %d %q, want JSON: %v", g.status, g.body, err)
	}
	if g.status != status || d.message(body) == "" || g.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %s %q, want %d with a message", g.status, g.header.Get("Content-Type"), g.body, status)
	}
	if got, want := d.kind(body), errorTypes[d.name][status]; got != want {
		t.Errorf("got an error of type %q, want %q", got, want)
	}
	if d.name == "OpenAI" {
		e, _ := body["error"].(map[string]any)
		for _, name := range []string{"param", "code"} {
			if _, ok := e[name]; !ok {
				t.Errorf("got %q, which has no %s", g.body, name)
			}
		}
	}
}

func TestErrorsOfTheRoutersOwn(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Run("nothing can be reached", func(t *testing.T) {
				s := routerWith(t, fmt.Sprintf("retries 0\npool p {\n deployment a %s\n deployment b %s\n}", refusing(t), refusing(t)))
				g := ask(t, s, d.path, d.request)
				d.checkError(t, g, 502)
				if g.header.Get("X-Should-Retry") != "true" || g.header.Get("X-LLM-Attempts") != "2" || g.header.Get("X-LLM-Pool") != "p" {
					t.Errorf("got headers %v, want X-Should-Retry true after 2 attempts", g.header)
				}
			})
			t.Run("nothing answers in time", func(t *testing.T) {
				a := scripted.New(t).Always(scripted.Hang())
				s := routerWith(t, alone(a, "timeout 200ms"))
				g := ask(t, s, d.path, d.request)
				d.checkError(t, g, 504)
				if g.header.Get("X-Should-Retry") != "true" || g.header.Get("X-LLM-Attempts") != "1" {
					t.Errorf("got headers %v, want X-Should-Retry true after 1 attempt", g.header)
				}
				a.WaitCanceled(t, 1)
			})
			t.Run("limits are in the way", func(t *testing.T) {
				a := scripted.New(t)
				s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s {\n rpm 1\n }\n}", a.URL))
				ask(t, s, d.path, d.request).served(t, "ok", "a", 1, 0)
				g := ask(t, s, d.path, d.request)
				d.checkError(t, g, 429)
				checkRetryAfter(t, g, time.Second, 61*time.Second)
				counts(t, "a", a, 1)
			})
			t.Run("capacity is in the way", func(t *testing.T) {
				a := scripted.New(t).Always(scripted.Hang())
				s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s {\n max_parallel 1\n }\n}", a.URL))
				leave := inBackground(t, s, d.path, d.request)
				a.WaitCount(t, 1)
				g := ask(t, s, d.path, d.request)
				d.checkError(t, g, 429)
				checkRetryAfter(t, g, time.Millisecond, 2*time.Second)
				leave()
			})
			t.Run("a refused key is in the way", func(t *testing.T) {
				a := scripted.New(t).Always(scripted.Error(401, "", "", "no"))
				s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s {\n api_key k\n }\n}", a.URL))
				for _, status := range []int{401, 503} {
					if g := ask(t, s, d.path, d.request); g.status != status || g.header.Get("X-Should-Retry") != "false" {
						t.Errorf("got %d with X-Should-Retry %q, want %d and false", g.status, g.header.Get("X-Should-Retry"), status)
					}
				}
				counts(t, "a", a, 1)
			})
			t.Run("cooldowns are in the way", func(t *testing.T) {
				a := scripted.New(t).Always(scripted.Reply(503, http.Header{"Retry-After": {"5"}}, "busy"))
				s := routerWith(t, alone(a, "retries 0"))
				if g := ask(t, s, d.path, d.request); g.status != 503 || g.body != "busy" {
					t.Fatalf("got %d %q, want the upstream's 503", g.status, g.body)
				}
				g := ask(t, s, d.path, d.request)
				d.checkError(t, g, 503)
				checkRetryAfter(t, g, time.Second, 5*time.Second)
				if g.header.Get("X-LLM-Attempts") != "0" {
					t.Errorf("got X-LLM-Attempts %q, want 0", g.header.Get("X-LLM-Attempts"))
				}
				counts(t, "a", a, 1)
			})
		})
	}
}

func TestLastUpstreamAnswerIsPassedOn(t *testing.T) {
	answer := func(status int, name string) scripted.Step {
		return scripted.Reply(status, http.Header{"X-From": {name}, "Content-Type": {"text/plain"}}, "sorry from "+name)
	}
	check := func(t *testing.T, g got, status int, from string, attempts, fallbacks int) {
		t.Helper()
		if g.status != status || g.body != "sorry from "+from || g.header.Get("X-From") != from || g.header.Get("Content-Type") != "text/plain" {
			t.Errorf("got %d %q %v, want %d from %s", g.status, g.body, g.header, status, from)
		}
		g.by(t, from, attempts, fallbacks)
	}
	t.Run("of the last deployment", func(t *testing.T) {
		a, b := scripted.New(t).Always(answer(503, "a")), scripted.New(t).Always(answer(500, "b"))
		s := routerWith(t, twoInOrder(a, b, "retries 0"))
		check(t, ask(t, s, chatPath, plain), 500, "b", 2, 0)
	})
	t.Run("of the fallback pool", func(t *testing.T) {
		a, b := scripted.New(t).Always(answer(503, "a")), scripted.New(t).Always(answer(500, "b"))
		s := routerWith(t, withFallback(a, b, "retries 0"))
		g := ask(t, s, chatPath, plain)
		check(t, g, 500, "b", 2, 1)
		if g.header.Get("X-LLM-Pool") != "q" {
			t.Errorf("got X-LLM-Pool %q, want q", g.header.Get("X-LLM-Pool"))
		}
	})
	t.Run("where the last deployment gave none", func(t *testing.T) {
		a := scripted.New(t).Always(answer(503, "a"))
		s := routerWith(t, fmt.Sprintf("retries 0\npool p {\n deployment a %s\n deployment b %s {\n order 2\n }\n}", a.URL, refusing(t)))
		check(t, ask(t, s, chatPath, plain), 503, "a", 2, 0)
	})
	t.Run("of the last retry", func(t *testing.T) {
		a := scripted.New(t).Then(answer(503, "x"), answer(500, "y"), answer(502, "a"))
		s := routerWith(t, alone(a, "retries 2 {\n backoff 10ms 20ms\n}"))
		check(t, ask(t, s, chatPath, plain), 502, "a", 3, 0)
		counts(t, "a", a, 3)
	})
}

// Nothing was tried for what was refused, or for what the router knows itself.
func TestAnswersOfTheRoutersOwnTookNoAttempt(t *testing.T) {
	a := scripted.New(t)
	s := routerWith(t, alone(a, ""))
	for name, g := range map[string]got{
		"the list of models": send(t, s, http.MethodGet, "/v1/models", "", nil),
		"no model":           ask(t, s, chatPath, `{}`),
		"an unknown model":   ask(t, s, chatPath, `{"model":"other","messages":[]}`),
		"no JSON":            ask(t, s, chatPath, `{`),
		"a path that climbs": ask(t, s, "/v1/../x", plain),
	} {
		if attempts, fallbacks := g.header.Get("X-LLM-Attempts"), g.header.Get("X-LLM-Fallbacks"); attempts != "0" || fallbacks != "0" || g.header.Get("X-LLM-Pool") != "" {
			t.Errorf("%s: got %d, %q attempts, %q fallbacks and pool %q, want 0, 0 and none", name, g.status, attempts, fallbacks, g.header.Get("X-LLM-Pool"))
		}
	}
	counts(t, "a", a, 0)
}
