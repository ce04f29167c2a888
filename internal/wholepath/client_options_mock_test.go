package wholepath

import (
	"fmt"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// mockedFailure is a failure that a request may ask for, and what its client
// gets where nothing follows it.
type mockedFailure struct {
	field       string
	status      int
	code        string
	openAI      string // the error's type, as OpenAI writes it
	anthropic   string
	shouldRetry string
}

var mockedFailures = []mockedFailure{
	{"mock_testing_fallbacks", 500, "", "server_error", "api_error", "true"},
	{"mock_testing_rate_limit_error", 429, "rate_limit_exceeded", "rate_limit_error", "rate_limit_error", "true"},
	{"mock_timeout", 504, "upstream_timeout", "server_error", "timeout_error", "true"},
	{"mock_testing_context_fallbacks", 400, "context_length_exceeded", "invalid_request_error", "invalid_request_error", "false"},
	{"mock_testing_context_window_fallbacks", 400, "context_length_exceeded", "invalid_request_error", "invalid_request_error", "false"},
	{"mock_testing_content_policy_fallbacks", 400, "content_filter", "invalid_request_error", "invalid_request_error", "false"},
}

func (m mockedFailure) check(t *testing.T, g got) {
	t.Helper()
	if g.status != m.status || g.header.Get("X-Should-Retry") != m.shouldRetry {
		t.Errorf("got %d %s with X-Should-Retry %q, want %d and %s", g.status, g.body, g.header.Get("X-Should-Retry"), m.status, m.shouldRetry)
	}
	if after := g.header.Get("Retry-After"); (after != "") != (m.status == 429) {
		t.Errorf("got Retry-After %q, want one on a 429 alone", after)
	}
	if pool := g.header.Get("X-LLM-Pool"); pool != "p" {
		t.Errorf("got X-LLM-Pool %q, want p", pool)
	}
	g.by(t, "", 0, 0)
}

func TestMockedFailuresWithoutAFallback(t *testing.T) {
	a := scripted.New(t)
	s := routerWith(t, alone(a, "client_options mock_testing"))
	for _, m := range mockedFailures {
		t.Run(m.field, func(t *testing.T) {
			for _, stream := range []string{"", `"stream":true,`} {
				fields := stream + fmt.Sprintf(`"%s":true`, m.field)
				for _, path := range []string{chatPath, completionsPath, responsesPath, "/v1/embeddings"} {
					g := ask(t, s, path, with(fields))
					m.check(t, g)
					if g.field("error.code") != m.code || g.field("error.type") != m.openAI || !strings.Contains(g.field("error.message"), "mocked") {
						t.Errorf("got %s, want type %s and code %s with a message that says why", g.body, m.openAI, m.code)
					}
				}
				g := ask(t, s, messagesPath, with(fields))
				m.check(t, g)
				if g.field("type") != "error" || g.field("error.type") != m.anthropic {
					t.Errorf("got %s, want a %s as Anthropic writes it", g.body, m.anthropic)
				}
				g = ask(t, s, ollamaChatPath, with(fields))
				m.check(t, g)
				if !strings.Contains(g.field("error"), "mocked") {
					t.Errorf("got %s, want an error as Ollama writes it", g.body)
				}
			}
		})
	}
	counts(t, "a", a, 0)
	t.Run("cool nothing and end with the request", func(t *testing.T) {
		if n := len(lines(s, "attempt failed")) + len(lines(s, "attempt failed, deployment cools down")); n != 0 {
			t.Errorf("got %d failed attempts in the log, want none", n)
		}
		ask(t, s, chatPath, plain).served(t, "ok", "a", 1, 0)
		ask(t, s, chatPath, with(`"mock_testing_fallbacks":false,"mock_timeout":null`)).served(t, "ok", "a", 1, 0)
	})
}

func TestMockedFailuresFallBack(t *testing.T) {
	a, b, c, d := scripted.New(t), scripted.New(t), scripted.New(t), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		client_options mock_testing fallbacks
		pool p {
			deployment a %s
			deployment a2 %s {
				order 2
			}
			fallback general
			context_window_fallback long
			content_policy_fallback lenient
		}
		pool general {
			deployment b %s
		}
		pool long {
			deployment c %s
		}
		pool lenient {
			deployment d %s
		}`, a.URL, a.URL, b.URL, c.URL, d.URL))
	want := map[int]string{0: "b", 1: "b", 2: "b", 3: "c", 4: "c", 5: "d"}
	for i, m := range mockedFailures {
		t.Run(m.field, func(t *testing.T) {
			field := fmt.Sprintf(`"%s":true`, m.field)
			ask(t, s, chatPath, with(field)).served(t, "ok", want[i], 1, 1)
			ask(t, s, chatPath, with(field+`,"stream":true`)).served(t, "ok", want[i], 1, 1)
			ask(t, s, chatPath, with(field+`,"fallbacks":["lenient"]`)).served(t, "ok", "d", 1, 1)
			m.check(t, ask(t, s, chatPath, with(field+`,"disable_fallbacks":true`)))
			m.check(t, ask(t, s, chatPath, with(field), "X-LLM-Fallback", "off"))
		})
	}
	counts(t, "a", a, 0)
	t.Run("and the fallback's own failure is no mock", func(t *testing.T) {
		b.Always(badRequest)
		g := ask(t, s, chatPath, with(`"mock_testing_fallbacks":true`))
		g.by(t, "b", 1, 1)
		if g.status != 400 || !strings.Contains(g.body, "must not be empty") {
			t.Errorf("got %d %s, want the fallback's refusal", g.status, g.body)
		}
	})
}

func TestMockedFilterIsNotWalkedRound(t *testing.T) {
	a, b := scripted.New(t), scripted.New(t)
	s := routerWith(t, withFallback(a, b, "client_options mock_testing\ndefault_fallback q"))
	mockedFailures[5].check(t, ask(t, s, chatPath, with(`"mock_testing_content_policy_fallbacks":true`)))
	ask(t, s, chatPath, with(`"mock_testing_context_window_fallbacks":true`)).served(t, "ok", "b", 1, 1)
}
