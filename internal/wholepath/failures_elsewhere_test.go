package wholepath

import (
	"fmt"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Failures that the request itself is to blame for, and where it may go.

var (
	tooLong = scripted.Error(400, "invalid_request_error", "context_length_exceeded",
		"This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.")
	filtered = scripted.Error(400, "invalid_request_error", "content_filter", "The prompt was filtered because of violence.")
)

// checkReason checks that the client got an upstream's refusal.
func checkReason(t *testing.T, g got, code, deployment string, attempts, fallbacks int) {
	t.Helper()
	var want string
	switch code {
	case "context_length_exceeded":
		want = `"code":"context_length_exceeded"`
	case "content_filter":
		want = "filtered because of violence"
	}
	if g.status != 400 || !strings.Contains(g.body, want) || g.header.Get("X-Should-Retry") != "false" {
		t.Errorf("got %d %q, X-Should-Retry %q; want 400 with %s", g.status, g.body, g.header.Get("X-Should-Retry"), want)
	}
	g.by(t, deployment, attempts, fallbacks)
}

func TestLongPromptGoesToALargerDeployment(t *testing.T) {
	small, same, unknown, large := scripted.New(t).Always(tooLong), scripted.New(t), scripted.New(t), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		pool p {
			deployment small %s {
				context_window 8192
			}
			deployment same %s {
				order 2
				context_window 8192
			}
			deployment unknown %s {
				order 3
			}
			deployment large %s {
				order 4
				context_window 128000
			}
		}`, small.URL, same.URL, unknown.URL, large.URL))
	for range 6 { // more than the failures that would cool
		ask(t, s, chatPath, plain).served(t, "ok", "large", 2, 0)
	}
	counts(t, "small", small, 6)
	counts(t, "same", same, 0)
	counts(t, "unknown", unknown, 0)
	counts(t, "large", large, 6)
}

func TestLongPromptFallsBack(t *testing.T) {
	a, b, c := scripted.New(t).Always(tooLong), scripted.New(t), scripted.New(t)
	load := func(t *testing.T, config string) *caddyharness.Server {
		return routerWith(t, fmt.Sprintf(config, a.URL, b.URL, c.URL))
	}
	t.Run("to context_window_fallback before any other", func(t *testing.T) {
		s := load(t, `
			pool p {
				deployment a %s
				fallback b
				context_window_fallback c
			}
			pool b {
				deployment b %s
			}
			pool c {
				deployment c %s
			}`)
		ask(t, s, chatPath, plain).served(t, "ok", "c", 2, 1)
	})
	t.Run("to fallbacks not known to be smaller, where no such list exists", func(t *testing.T) {
		s := load(t, `
			pool p {
				deployment a %s {
					context_window 8192
				}
				fallback b c
			}
			pool b {
				deployment b %s {
					context_window 4096
				}
			}
			pool c {
				deployment c %s
			}`)
		ask(t, s, chatPath, plain).served(t, "ok", "c", 2, 1)
	})
	t.Run("nowhere, where only another pool has such a list", func(t *testing.T) {
		s := load(t, `
			pool p {
				deployment a %s
				fallback b
			}
			pool b {
				deployment b %s
				context_window_fallback c
			}
			pool c {
				deployment c %s
			}`)
		checkReason(t, ask(t, s, chatPath, plain), "context_length_exceeded", "a", 1, 0)
	})
	t.Run("to default_fallback", func(t *testing.T) {
		s := load(t, `
			default_fallback c
			pool p {
				deployment a %s
			}
			pool b {
				deployment b %s
			}
			pool c {
				deployment c %s
			}`)
		ask(t, s, chatPath, plain).served(t, "ok", "c", 2, 1)
	})
	counts(t, "b", b, 0)
}

func TestFilteredPrompt(t *testing.T) {
	a, b, c := scripted.New(t).Always(filtered), scripted.New(t), scripted.New(t)
	t.Run("is not taken elsewhere unasked", func(t *testing.T) {
		s := routerWith(t, fmt.Sprintf(`
			default_fallback b
			pool p {
				deployment a %s
				deployment a2 %s {
					order 2
				}
				fallback b
				context_window_fallback b
			}
			pool b {
				deployment b %s
			}`, a.URL, b.URL, b.URL))
		for range 6 {
			checkReason(t, ask(t, s, chatPath, plain), "content_filter", "a", 1, 0)
		}
		counts(t, "a", a, 6)
		counts(t, "b", b, 0)
	})
	t.Run("goes to content_policy_fallback", func(t *testing.T) {
		s := routerWith(t, fmt.Sprintf(`
			pool p {
				deployment a %s
				fallback b
				content_policy_fallback c
			}
			pool b {
				deployment b %s
			}
			pool c {
				deployment c %s
			}`, a.URL, b.URL, c.URL))
		ask(t, s, chatPath, plain).served(t, "ok", "c", 2, 1)
		counts(t, "b", b, 0)
	})
	t.Run("in a stream before its content", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Stream(0, `{"error":{"message":"filtered because of violence","code":"content_filter"}}`))
		b := scripted.New(t)
		s := routerWith(t, withFallback(a, b, ""))
		g := ask(t, s, chatPath, streamed)
		if !strings.Contains(g.body, "filtered because of violence") || strings.Contains(g.body, "[DONE]") {
			t.Errorf("got %d %q, want the upstream's reason", g.status, g.body)
		}
		counts(t, "b", b, 0)
	})
}

func TestMaxFallbacks(t *testing.T) {
	var ups []*scripted.Upstream
	for range 4 {
		ups = append(ups, scripted.New(t).Always(scripted.Error(500, "server_error", "", "down")))
	}
	config := func(policy string) string {
		return fmt.Sprintf(`
			retries 0
			%s
			pool p {
				deployment d0 %s
				fallback p1
			}
			pool p1 {
				deployment d1 %s
				fallback p2
			}
			pool p2 {
				deployment d2 %s
				fallback p3 p
			}
			pool p3 {
				deployment d3 %s
				fallback p1
			}`, policy, ups[0].URL, ups[1].URL, ups[2].URL, ups[3].URL)
	}
	t.Run("bounds the pools that a request may move on to", func(t *testing.T) {
		s := routerWith(t, config("max_fallbacks 2"))
		g := ask(t, s, chatPath, plain)
		g.by(t, "d2", 3, 2)
		counts(t, "d2", ups[2], 1)
		counts(t, "d3", ups[3], 0)
	})
	t.Run("by default allows every pool once", func(t *testing.T) {
		s := routerWith(t, config(""))
		ask(t, s, chatPath, plain).by(t, "d3", 4, 3)
		counts(t, "d0", ups[0], 2)
		counts(t, "d3", ups[3], 1)
	})
	t.Run("may be none", func(t *testing.T) {
		s := routerWith(t, config("max_fallbacks 0"))
		ask(t, s, chatPath, plain).by(t, "d0", 1, 0)
	})
}

func TestClientTurnsFallbackOff(t *testing.T) {
	a, b, c := scripted.New(t).Always(scripted.Error(500, "", "", "down")), scripted.New(t), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		pool p {
			deployment a %s
			deployment b %s {
				order 2
			}
			fallback q
		}
		pool q {
			deployment c %s
		}`, a.URL, b.URL, c.URL))
	g := ask(t, s, chatPath, plain, "X-LLM-Fallback", "off")
	g.by(t, "a", 3, 0) // two retries on the same deployment
	if g.status != 500 {
		t.Errorf("got status %d, want the upstream's 500", g.status)
	}
	counts(t, "b", b, 0)
	counts(t, "c", c, 0)
	if v := a.Last(t).Header.Get("X-LLM-Fallback"); v != "" {
		t.Errorf("the upstream got X-LLM-Fallback %q, want none", v)
	}
}

func TestFailoverOff(t *testing.T) {
	a, b, c := scripted.New(t).Always(scripted.Error(500, "", "", "down")), scripted.New(t), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		pool p {
			failover off
			retries 0
			deployment a %s
			deployment b %s {
				order 2
			}
			fallback q
		}
		pool q {
			deployment c %s
		}`, a.URL, b.URL, c.URL))
	ask(t, s, chatPath, plain).served(t, "ok", "c", 2, 1)
	counts(t, "b", b, 0)
}

func TestClientThatRetriesGetsNoRetries(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Error(500, "", "", "down")), scripted.New(t).Always(scripted.Error(500, "", "", "down"))
	s := routerWith(t, twoInOrder(a, b, "retries 2 {\n backoff 10ms 20ms\n}"))
	ask(t, s, chatPath, plain, "X-Stainless-Retry-Count", "1").by(t, "b", 2, 0)
	ask(t, s, chatPath, plain, "X-Stainless-Retry-Count", "0").by(t, "b", 4, 0)
}

// The budget is a share of the requests that the pool has had.
func TestRetryBudget(t *testing.T) {
	down := scripted.Error(500, "", "", "down")
	t.Run("of nothing allows none", func(t *testing.T) {
		a := scripted.New(t).Always(down)
		s := routerWith(t, alone(a, "retries 2 {\n backoff 10ms 20ms\n budget 0% 0\n}"))
		for range 3 {
			ask(t, s, chatPath, plain).by(t, "a", 1, 0)
		}
	})
	t.Run("grows with the requests", func(t *testing.T) {
		a := scripted.New(t)
		s := routerWith(t, alone(a, "retries 2 {\n backoff 10ms 20ms\n budget 50% 0\n}"))
		for range 5 {
			ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
		}
		a.Always(down)
		// Half of six requests is three retries, and of seven three.
		ask(t, s, chatPath, plain).by(t, "a", 3, 0)
		ask(t, s, chatPath, plain).by(t, "a", 2, 0)
		counts(t, "a", a, 10)
	})
}
