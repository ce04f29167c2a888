package wholepath

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// catalog is a router with names of every kind: plain, aliased, with slashes,
// wildcards, and of one team only.
func catalog(t testing.TB) (*caddyharness.Server, *scripted.Upstream) {
	t.Helper()
	u := scripted.New(t)
	return routerWith(t, strings.ReplaceAll(`
		team {http.request.header.X-Team}
		pool gpt-4o chatgpt {
			deployment plain URL
			deployment reds URL {
				model for-red
				team red
			}
		}
		pool secret {
			deployment d URL {
				team red blue
			}
		}
		pool org/llama-3/8b {
			deployment d URL {
				model llama
			}
		}
		pool openai/* everything-* {
			deployment d URL {
				model hosted-*
			}
		}
		pool openai/gpt-* {
			deployment narrow URL
		}
		pool openai/gpt-5 {
			deployment exact URL
		}
	`, "URL", u.URL)), u
}

func TestModelsAreListed(t *testing.T) {
	s, u := catalog(t)
	before := time.Now().Add(-time.Minute).Unix()
	everyone := []string{"gpt-4o", "chatgpt", "org/llama-3/8b", "openai/gpt-5"}
	for _, tt := range []struct {
		team string
		want []string
	}{
		{"", everyone},
		{"green", everyone},
		{"red", []string{"gpt-4o", "chatgpt", "secret", "org/llama-3/8b", "openai/gpt-5"}},
		{"blue", []string{"gpt-4o", "chatgpt", "secret", "org/llama-3/8b", "openai/gpt-5"}},
	} {
		t.Run("for team "+tt.team, func(t *testing.T) {
			for _, path := range []string{"/v1/models", "/v1/models/", "/v1/models?limit=100"} {
				g := send(t, s, http.MethodGet, path, "", nil, "X-Team", tt.team)
				if got := idsOf(g); g.status != http.StatusOK || !slices.Equal(got, tt.want) {
					t.Errorf("%s: got %d %v, want %v", path, g.status, got, tt.want)
				}
				for _, m := range gjson.Get(g.body, "data").Array() {
					if m.Get("object").String() != "model" || m.Get("created").Int() < before || m.Get("owned_by").String() == "" {
						t.Errorf("got the model %s, want it as OpenAI writes it", m.Raw)
					}
				}
				if g.field("object") != "list" || g.header.Get("Content-Type") != "application/json" {
					t.Errorf("got %s with Content-Type %q, want a list in JSON", g.body, g.header.Get("Content-Type"))
				}
			}
		})
	}
	t.Run("as Anthropic does", func(t *testing.T) {
		g := send(t, s, http.MethodGet, "/v1/models", "", nil, "Anthropic-Version", "2023-06-01")
		if got := idsOf(g); !slices.Equal(got, everyone) {
			t.Errorf("got %v, want %v", got, everyone)
		}
		for _, m := range gjson.Get(g.body, "data").Array() {
			if _, err := time.Parse(time.RFC3339, m.Get("created_at").String()); m.Get("type").String() != "model" || m.Get("display_name").String() == "" || err != nil {
				t.Errorf("got the model %s, want it as Anthropic writes it", m.Raw)
			}
		}
		if !gjson.Get(g.body, "has_more").Exists() || g.field("has_more") != "false" ||
			g.field("first_id") != everyone[0] || g.field("last_id") != everyone[len(everyone)-1] {
			t.Errorf("got the page %s, want the first and last id and no more", g.body)
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		if g := send(t, s, http.MethodHead, "/v1/models", "", nil); g.status != http.StatusOK || g.body != "" || g.header.Get("Content-Length") == "0" {
			t.Errorf("got %d %q with Content-Length %q, want 200 and the head alone", g.status, g.body, g.header.Get("Content-Length"))
		}
	})
	counts(t, "of any pool", u, 0)
}

func idsOf(g got) (ids []string) {
	for _, id := range gjson.Get(g.body, "data.#.id").Array() {
		ids = append(ids, id.String())
	}
	return ids
}

func TestListOfATeamWithoutModelsIsEmpty(t *testing.T) {
	s := routerWith(t, "pool p {\n\tdeployment d http://127.0.0.1:9 {\n\t\tteam red\n\t}\n}")
	if g := send(t, s, http.MethodGet, "/v1/models", "", nil); g.body != `{"data":[],"object":"list"}` {
		t.Errorf("got %s, want an empty list", g.body)
	}
	g := send(t, s, http.MethodGet, "/v1/models", "", nil, "Anthropic-Version", "2023-06-01")
	if want := `{"data":[],"first_id":null,"has_more":false,"last_id":null}`; g.body != want {
		t.Errorf("got %s, want %s", g.body, want)
	}
}

func TestSingleModels(t *testing.T) {
	s, _ := catalog(t)
	for _, tt := range []struct {
		path, team, want string // want is the id, or empty for 404
	}{
		{"gpt-4o", "", "gpt-4o"},
		{"chatgpt", "", "chatgpt"},
		{"org/llama-3/8b", "", "org/llama-3/8b"},
		{"org%2Fllama-3%2F8b", "", "org/llama-3/8b"},
		{"openai/gpt-5", "", "openai/gpt-5"},
		{"openai/o9", "", "openai/o9"}, // a wildcard serves it, listed or not
		{"secret", "red", "secret"},
		{"secret", "", ""},
		{"secret", "green", ""},
		{"org/llama-3", "", ""},
		{"nope", "", ""},
		{"a%22b", "", ""},
	} {
		t.Run(tt.path+" for team "+tt.team, func(t *testing.T) {
			g := send(t, s, http.MethodGet, "/v1/models/"+tt.path, "", nil, "X-Team", tt.team)
			anthropic := send(t, s, http.MethodGet, "/v1/models/"+tt.path, "", nil, "X-Team", tt.team, "Anthropic-Version", "2023-06-01")
			if tt.want == "" {
				g.refused(t, http.StatusNotFound, "model", "model_not_found")
				if anthropic.status != http.StatusNotFound || anthropic.field("type") != "error" || anthropic.field("error.type") != "not_found_error" {
					t.Errorf("got %d %s, want 404 as Anthropic writes it", anthropic.status, anthropic.body)
				}
				return
			}
			if g.status != http.StatusOK || g.field("id") != tt.want || g.field("object") != "model" {
				t.Errorf("got %d %s, want the model %s", g.status, g.body, tt.want)
			}
			if anthropic.status != http.StatusOK || anthropic.field("id") != tt.want || anthropic.field("type") != "model" {
				t.Errorf("got %d %s, want the model %s as Anthropic writes it", anthropic.status, anthropic.body, tt.want)
			}
		})
	}
}

func TestNamesFindTheirPools(t *testing.T) {
	s, u := catalog(t)
	for _, tt := range []struct{ asked, team, pool, deployment, sent string }{
		{"gpt-4o", "", "gpt-4o", "plain", "gpt-4o"},
		{"chatgpt", "", "gpt-4o", "plain", "gpt-4o"},
		{"gpt-4o", "red", "gpt-4o", "reds", "for-red"},
		{"chatgpt", "red", "gpt-4o", "reds", "for-red"},
		{"gpt-4o", "blue", "gpt-4o", "plain", "gpt-4o"},
		{"secret", "blue", "secret", "d", "secret"},
		{"org/llama-3/8b", "", "org/llama-3/8b", "d", "llama"},
		{"openai/o9", "", "openai/*", "d", "hosted-o9"},
		{"openai/", "", "openai/*", "d", "hosted-"},
		{"openai/a/b", "", "openai/*", "d", "hosted-a/b"},
		{"everything-new", "", "openai/*", "d", "hosted-new"},
		{"openai/gpt-6", "", "openai/gpt-*", "narrow", "openai/gpt-6"},
		{"openai/gpt-5", "", "openai/gpt-5", "exact", "openai/gpt-5"},
	} {
		t.Run(tt.asked+" for team "+tt.team, func(t *testing.T) {
			g := ask(t, s, chatPath, fmt.Sprintf(`{"model":%q}`, tt.asked), "X-Team", tt.team)
			g.served(t, "ok", tt.deployment, 1, 0)
			if got := g.header.Get("X-LLM-Pool"); got != tt.pool {
				t.Errorf("got pool %q, want %q", got, tt.pool)
			}
			if got := gjson.GetBytes(u.Last(t).Body, "model").String(); got != tt.sent {
				t.Errorf("got model %q upstream, want %q", got, tt.sent)
			}
		})
	}
}

func TestUnknownModelsAreNotFound(t *testing.T) {
	s, u := catalog(t)
	for _, tt := range []struct{ model, team string }{
		{"nope", ""}, {"GPT-4o", ""}, {"openai", ""}, {"secret", ""}, {"secret", "green"}, {"org/llama-3", ""}, {"xopenai/y", ""},
	} {
		t.Run(tt.model+" for team "+tt.team, func(t *testing.T) {
			body := fmt.Sprintf(`{"model":%q,"messages":[]}`, tt.model)
			for _, path := range []string{chatPath, completionsPath, responsesPath, "/v1/embeddings"} {
				g := ask(t, s, path, body, "X-Team", tt.team)
				g.refused(t, http.StatusNotFound, "model", "model_not_found")
				if g.field("error.type") != "invalid_request_error" || !strings.Contains(g.field("error.message"), tt.model) {
					t.Errorf("%s: got %s, want an invalid_request_error that names the model", path, g.body)
				}
			}
			g := ask(t, s, messagesPath, body, "X-Team", tt.team)
			if g.status != http.StatusNotFound || g.field("type") != "error" || g.field("error.type") != "not_found_error" {
				t.Errorf("got %d %s, want 404 and a not_found_error as Anthropic writes it", g.status, g.body)
			}
			g = ask(t, s, ollamaChatPath, body, "X-Team", tt.team)
			if g.status != http.StatusNotFound || !strings.Contains(g.field("error"), tt.model) {
				t.Errorf("got %d %s, want 404 and an error as Ollama writes it", g.status, g.body)
			}
		})
	}
	counts(t, "of any pool", u, 0)
}
