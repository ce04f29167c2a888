package wholepath

import (
	"fmt"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What names the session of a request, and what does not.

const turn = `{"role":"user","content":"%s"}`

func TestSessionsOfKnownClients(t *testing.T) {
	type request struct {
		body   string
		header []string
	}
	messages := func(text, more string) request {
		return request{body: `{"model":"p","messages":[{"role":"system","content":"You are kind."},` + fmt.Sprintf(turn, text) + more + `]}`}
	}
	header := func(name string) func(string) request {
		return func(id string) request { return request{plain, []string{name, id}} }
	}
	field := func(text string) func(string) request {
		return func(id string) request { return request{body: sessionChat(fmt.Sprintf(text, id))} }
	}
	for _, tt := range []struct {
		name, by string
		of       func(id string) request
		next     func(id string) request // its next turn, where that looks otherwise
	}{
		{"Claude Code's header", "auto", header("X-Claude-Code-Session-Id"), nil},
		{"x-session-id", "auto", header("x-session-id"), nil},
		{"Codex's header", "auto", header("session_id"), nil},
		{"the key of a prompt cache", "auto", field(`"prompt_cache_key":"%s",`), nil},
		{"Claude Code's metadata", "auto", field(`"metadata":{"user_id":"user_1_account__session_%s"},`), nil},
		{"metadata of LiteLLM's clients", "auto", field(`"metadata":{"user_id":"one","session_id":"%s"},`), nil},
		{"an answer that is gone on with", "auto", field(`"previous_response_id":"resp_%s",`), nil},
		{"a field", "auto", field(`"session_id":"%s",`), nil},
		{"the prompt", "auto", func(id string) request { return messages(id, "") },
			func(id string) request {
				return messages(id, `,{"role":"assistant","content":"Hi."},{"role":"user","content":"And?"}`)
			}},
		{"a header alone", "session", header("X-Session-Id"), nil},
		{"a placeholder", "{http.request.header.X-Conversation}", header("X-Conversation"), nil},
		{"a placeholder in a text", "c-{header.X-Conversation}-{http.request.host}", header("X-Conversation"), nil},
		{"the second of two", "{header.X-Nobody} {header.X-Conversation}", header("X-Conversation"), nil},
		{"a text that is empty, and the prompt", "u-{header.X-Nobody} prompt", func(id string) request { return messages(id, "") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &homes{TB: t, a: scripted.New(t).Always(scripted.OK("Hi.")), b: scripted.New(t).Always(scripted.OK("Hi."))}
			h.Server = caddyharness.Load(t, underscores+observed(h.pools("affinity "+tt.by, "")))
			of := func(id string, request func(string) request) func(string) {
				return func(want string) { t.Helper(); r := request(id); h.stay(want, chatPath, r.body, r.header...) }
			}
			h.apart(of("one", tt.of), of("two", tt.of))
			if tt.next != nil {
				h.apart(of("one", tt.next), of("two", tt.next))
			}
		})
	}
	t.Run("and what is hyphenated without the underscore", func(t *testing.T) {
		h := newHomes(t, "affinity auto")
		h.apart(func(want string) { h.stay(want, chatPath, plain, "Session-Id", "one") }, func(want string) { h.stay(want, chatPath, plain, "Session-Id", "two") })
	})
}

// Requests without a session take turns, also where others have one.
func TestRequestsWithoutSession(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for name, tt := range map[string]struct{ policy, path, body, header string }{
		"off":                        {"", chatPath, plain, "one"},
		"no messages":                {"affinity auto", chatPath, sessionChat(""), ""},
		"a prompt where none counts": {"affinity session", chatPath, plain, ""},
		"an empty header":            {"affinity {header.X-Session-Id}", chatPath, plain, ""},
		"a text that is too long":    {"affinity {header.X-Session-Id}", chatPath, plain, long},
		"a field that is too long":   {"affinity session", chatPath, sessionChat(`"session_id":"` + long + `",`), ""},
		"a field that is no text":    {"affinity session", chatPath, sessionChat(`"session_id":7,"metadata":[1],"prompt_cache_key":{},`), ""},
		"embeddings":                 {"affinity auto", "/v1/embeddings", `{"model":"p","input":["a","b"]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHomes(t, tt.policy)
			for i := range 6 {
				if got, want := h.at(tt.path, tt.body, "X-Session-Id", tt.header), string("ab"[i%2]); got != want {
					t.Errorf("request %d: got an answer of %s, want one of %s, whose turn it is", i, got, want)
				}
			}
		})
	}
	t.Run("of a pool that keeps none", func(t *testing.T) {
		h := newHomes(t, "")
		h.Reload(t, configOf("affinity auto\n"+strings.Replace(h.pools("", ""), "deployment b", "affinity off\n\tdeployment b", 1)))
		if first, second := served(t, h.Server), served(t, h.Server); first == second {
			t.Errorf("got both answers of %s, want one of each", first)
		}
	})
}
