package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Requests that a deployment cannot serve are not sent there, on the whole path.

// words is a chat request whose prompt has so many tokens, and what else its object
// says.
func words(model string, tokens int, rest string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hello%s"}]%s}`, model, strings.Repeat(" hello", tokens-1), rest)
}

const sized = `
	retries 0
	pool both {
		deployment small SHARED1 {
			context_window 100
		}
		deployment large SHARED2 {
			context_window 1000
			order          2
		}
	}
	pool small {
		deployment small SHARED1 {
			context_window 100
		}
	}
	pool answers {
		deployment short SHARED1 {
			max_output 50
		}
		deployment long SHARED2 {
			max_output 200
			order      2
		}
	}
	pool apart {
		deployment small SHARED1 {
			max_input 100
		}
	}
	pool unchecked {
		deployment small SHARED1 {
			context_window 100
		}
		pre_call_checks off
	}`

func TestHopelessAttemptsAreNotMade(t *testing.T) {
	const tooLong = "context_length_exceeded"
	for _, tt := range []struct {
		name, body string
		want       string // the deployment, or the code of the error
	}{
		{"a prompt that fits by its bytes", words("both", 10, ""), "small"},
		{"one that fits to the token", words("both", 100, ""), "small"},
		{"one that is a token too long", words("both", 101, ""), "large"},
		{"a prompt and an answer that fit to the token", words("both", 60, `,"max_tokens":40`), "small"},
		{"ones that do not by a token", words("both", 61, `,"max_tokens":40`), "large"},
		{"an answer that is too long by itself", words("both", 1, `,"max_completion_tokens":101`), "large"},
		{"each of several answers fits", words("both", 10, `,"max_tokens":60,"n":5`), "small"},
		{"nothing fits", words("both", 1001, ""), tooLong},
		{"nothing fits, with an answer", words("both", 901, `,"max_tokens":100`), tooLong},
		{"an answer alone that nothing holds", words("both", 1, `,"max_tokens":1001`), tooLong},
		{"the prompt alone counts where that is what is bounded", words("apart", 100, `,"max_tokens":5000`), "small"},
		{"and where it is too long", words("apart", 101, ""), tooLong},
		{"JSON is no prompt", `{"model":"small","messages":[` + strings.Repeat(`{"role":"user","content":"a b"},`, 20) + `{"role":"user","content":"c"}]}`, "small"},
		{"nor are pictures", `{"model":"small","messages":[{"role":"user","content":[{"type":"text","text":"hello"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("iVBORw0K", 500) + `"}}]}]}`, "small"},
		{"a prompt that cannot be counted passes", `{"model":"small","messages":[{"role":"user","content":"` + strings.Repeat(`\ud800 `, 500) + `"}]}`, "small"},
		{"checks that are off", words("unchecked", 500, ""), "small"},
		{"a prompt that is not to be cut", words("small", 101, `,"truncation":"disabled","truncate":false,"truncate_prompt_tokens":null`), tooLong},
		{"an answer that is longer than a deployment gives", words("answers", 1, `,"max_tokens":51`), "long"},
		{"one that it gives", words("answers", 1, `,"max_tokens":50`), "short"},
		{"one that none gives is theirs to judge", words("answers", 1, `,"max_tokens":201`), "short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ups := crew{}
			s := routerWith(t, ups.fill(t, sized))
			g := ask(t, s, chatPath, tt.body)
			if tt.want != tooLong {
				g.served(t, "ok", tt.want, 1, 0)
				return
			}
			g.refused(t, http.StatusBadRequest, "", tooLong)
			g.by(t, "", 0, 0)
			if g.header.Get("X-Should-Retry") != "false" {
				t.Errorf("got X-Should-Retry %q, want false", g.header.Get("X-Should-Retry"))
			}
			ups.none(t, "SHARED1", "SHARED2")
		})
	}
}

func TestLongPromptsThatAreNotRefused(t *testing.T) {
	for _, tt := range []struct{ name, path, rest string }{
		{"where their tokens are counted", messagesPath + "/count_tokens", ""},
		{"where OpenAI counts them", "/v1/responses/input_tokens", ""},
		{"where vLLM counts them", "/tokenize", ""},
		{"where the Responses API is to cut them", "/v1/responses", `,"truncation":"auto"`},
		{"where vLLM is to cut them", chatPath, `,"truncate_prompt_tokens":50`},
		{"where other servers of embeddings are", "/v1/embeddings", `,"truncate":"END"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ups := crew{}
			s := routerWith(t, ups.fill(t, sized))
			g := ask(t, s, tt.path, words("small", 200, tt.rest))
			if g.status != http.StatusOK {
				t.Errorf("got %d %s, want 200", g.status, g.body)
			}
			counts(t, "small", ups["SHARED1"], 1)
		})
	}
}

func TestErrorOfAPromptThatIsTooLong(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, sized))
	for _, tt := range []struct{ name, path, body, field, want string }{
		{"a prompt", chatPath, words("small", 200, ""), "error.message", "This model's maximum context length is 100 tokens. The prompt is too long: it has more than that."},
		{"the largest deployment counts", chatPath, words("both", 2000, ""), "error.message", "This model's maximum context length is 1000 tokens. The prompt is too long: it has more than that."},
		{"with an answer", chatPath, words("small", 200, `,"max_tokens":30`), "error.message", "This model's maximum context length is 100 tokens. The prompt is too long: it has more than the 70 tokens that are left of it beside an answer of 30."},
		{"an answer alone", chatPath, words("small", 2, `,"max_tokens":300`), "error.message", "This model's maximum context length is 100 tokens. The request asks for an answer of 300 tokens."},
		{"Anthropic's type", messagesPath, words("small", 200, ""), "error.type", "invalid_request_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := ask(t, s, tt.path, tt.body)
			if g.status != http.StatusBadRequest || g.field(tt.field) != tt.want {
				t.Errorf("got %d %s, want 400 with %s %q", g.status, g.body, tt.field, tt.want)
			}
		})
	}
	ups.none(t, "SHARED1", "SHARED2")
}

func TestFallbacksThatHoldThePrompt(t *testing.T) {
	const pools = `
		retries 0
		%s
		pool p {
			deployment small SHARED1 {
				context_window 100
			}
			%s
		}
		pool tiny {
			deployment tiny RED1 {
				context_window 50
			}
		}
		pool large {
			deployment large SHARED2 {
				context_window 1000
			}
		}
		pool unknown {
			deployment unknown OTHER
		}`
	for _, tt := range []struct {
		name, router, pool string
		tokens             int
		deployment         string
		attempts           int
	}{
		{"the context fallback", "", "fallback unknown\ncontext_window_fallback large", 200, "large", 1},
		{"one that is too small itself is passed over", "", "context_window_fallback tiny large", 200, "large", 1},
		{"any fallback where no context fallback is configured", "", "fallback tiny large", 200, "large", 1},
		{"one of unknown window", "", "fallback tiny unknown", 200, "unknown", 1},
		{"the default fallback", "default_fallback tiny large", "", 200, "large", 1},
		{"no other where a context fallback is configured", "", "fallback large\ncontext_window_fallback tiny", 200, "", 0},
		{"nothing holds it", "", "fallback tiny large", 2000, "", 0},
		{"after a failure, too, what is too small is passed over", "", "fallback tiny large", 80, "large", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ups := crew{}
			s := routerWith(t, ups.fill(t, fmt.Sprintf(pools, tt.router, tt.pool)))
			ups["SHARED1"].Always(scripted.Error(500, "server_error", "", "down"))
			g := ask(t, s, chatPath, words("p", tt.tokens, ""))
			if tt.deployment == "" {
				g.refused(t, http.StatusBadRequest, "", "context_length_exceeded")
				g.by(t, "", 0, 0)
			} else {
				g.served(t, "ok", tt.deployment, tt.attempts, 1)
			}
			ups.none(t, "RED1")
			counts(t, "small", ups["SHARED1"], max(tt.attempts-1, 0))
		})
	}
}

func TestRegions(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, `
		region {http.request.header.X-Region}
		retries 0
		cooldown off
		pool p {
			deployment us SHARED1 {
				region us
			}
			deployment eu SHARED2 {
				region eu
				order  2
			}
			deployment anywhere OTHER {
				order 3
			}
			pre_call_checks off
		}
		pool us-only {
			deployment us SHARED1 {
				region us
			}
			fallback p
		}
		pool nowhere {
			deployment anywhere OTHER
		}`))
	for _, tt := range []struct {
		model, region, want string
		fallbacks           int
	}{
		{"p", "", "us", 0},
		{"p", "eu", "eu", 0},
		{"p", "eu,us", "us", 0},
		{"p", "asia, eu", "eu", 0},
		{"p", "EU", "", 0},
		{"p", "asia", "", 0},
		{"us-only", "eu", "eu", 1},
		{"nowhere", "eu", "", 0},
		{"nowhere", "", "anywhere", 0},
	} {
		t.Run(fmt.Sprintf("%s in %q", tt.model, tt.region), func(t *testing.T) {
			g := ask(t, s, chatPath, fmt.Sprintf(`{"model":%q}`, tt.model), "X-Region", tt.region)
			if tt.want != "" {
				g.served(t, "ok", tt.want, 1, tt.fallbacks)
				return
			}
			g.refused(t, http.StatusNotFound, "model", "model_not_found")
			if want := fmt.Sprintf("The model %q is not available in %s.", tt.model, tt.region); g.field("error.message") != want {
				t.Errorf("got the message %q, want %q", g.field("error.message"), want)
			}
		})
	}
	t.Run("failing over", func(t *testing.T) {
		ups["SHARED2"].Always(scripted.Error(500, "server_error", "", "down"))
		before := ups["OTHER"].Count() + ups["SHARED1"].Count()
		ask(t, s, chatPath, plain, "X-Region", "eu").by(t, "eu", 1, 0)
		if after := ups["OTHER"].Count() + ups["SHARED1"].Count(); after != before {
			t.Errorf("%d requests have left the region, want none", after-before)
		}
	})
}

// A request narrows where it may be served, and never widens it.
func TestRegionOfARequest(t *testing.T) {
	for _, tt := range []struct{ name, router, region, want string }{
		{"where the router has none", "client_options region", "eu", "eu"},
		{"one of the router's", "client_options region\nregion us eu", "eu", "eu"},
		{"none", "client_options region\nregion us", "", "us"},
		{"another than the router's", "client_options region\nregion us", "eu", ""},
		{"where it is not allowed", "client_options retries", "eu", "us"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ups := crew{}
			s := routerWith(t, ups.fill(t, tt.router+`
				pool p {
					deployment us SHARED1 {
						region us
					}
					deployment eu SHARED2 {
						region eu
						order  2
					}
				}`))
			body := `{"model":"p"}`
			if tt.region != "" {
				body = fmt.Sprintf(`{"model":"p","allowed_model_region":%q}`, tt.region)
			}
			g := ask(t, s, chatPath, body)
			if tt.want != "" {
				g.served(t, "ok", tt.want, 1, 0)
				return
			}
			g.refused(t, http.StatusBadRequest, "allowed_model_region", "")
			ups.none(t, "SHARED1", "SHARED2")
		})
	}
}
