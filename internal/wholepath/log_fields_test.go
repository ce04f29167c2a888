package wholepath

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// placeholders are those of the router, in an access log as x_<name>.
var placeholders = []string{
	"model", "pool", "deployment", "attempts", "fallbacks", "error_class",
	"ttft_ms", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "usage", "cost", "affinity", "cache",
}

func logged(pools string) string {
	var fields strings.Builder
	for _, name := range placeholders {
		fmt.Fprintf(&fields, "\tlog_append x_%s {http.llm_router.%s}\n", name, name)
	}
	return ":8080 {\n\tlog\n" + fields.String() + "\tllm_router {\n" + pools + "\n\t}\n}\n"
}

// The access log has the same as fields and, for who asks for them, as
// placeholders, which are empty where the fields are left out.
func TestTheAccessLogTellsWhatBecameOfARequest(t *testing.T) {
	f := chatFormat
	busy := scripted.Error(503, "server_error", "", "busy")
	told := `{"stream_options":{"include_usage":true},` + streamed[1:]
	type fields map[string]any
	const some = "some time"
	tests := []struct {
		name   string
		a, b   scripted.Step
		policy string
		body   string
		want   fields
	}{
		{"a good answer", scripted.OK("Hi there"), nil, "", plain, fields{
			"model": "p", "pool": "p", "deployment": "a", "attempts": 1.0, "fallbacks": 0.0,
			"input_tokens": 3.0, "output_tokens": 2.0, "cached_tokens": 0.0, "reasoning_tokens": 0.0, "usage": "reported",
		}},
		{"a session", scripted.OK("Hi there"), nil, "affinity auto", plain, fields{
			"model": "p", "pool": "p", "deployment": "a", "attempts": 1.0, "fallbacks": 0.0, "affinity": "new",
			"input_tokens": 3.0, "output_tokens": 2.0, "cached_tokens": 0.0, "reasoning_tokens": 0.0, "usage": "reported",
		}},
		{"cached and reasoning tokens", scripted.Reply(200, nil, `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":30,"completion_tokens":9,
			"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":4}}}`), nil, "", plain, fields{
			"model": "p", "pool": "p", "deployment": "a", "attempts": 1.0, "fallbacks": 0.0,
			"input_tokens": 30.0, "output_tokens": 9.0, "cached_tokens": 20.0, "reasoning_tokens": 4.0, "usage": "reported",
		}},
		{"a stream", f.send(0, withUsage(f.events("one ", "two"))...), nil, "", told, fields{
			"model": "p", "pool": "p", "deployment": "a", "attempts": 1.0, "fallbacks": 0.0, "ttft_ms": some,
			"input_tokens": 3.0, "output_tokens": 4.0, "cached_tokens": 0.0, "reasoning_tokens": 0.0, "usage": "reported",
		}},
		{"a stream that does not tell", f.send(0, f.events("one ", "two")...), nil, "", streamed, fields{
			"model": "p", "pool": "p", "deployment": "a", "attempts": 1.0, "fallbacks": 0.0, "ttft_ms": some, "usage": "unknown",
		}},
		{"a stream that is cut", f.cut(f.begun("one ", "two")...), nil, "", streamed, fields{
			"model": "p", "pool": "p", "deployment": "a", "attempts": 1.0, "fallbacks": 0.0, "ttft_ms": some, "error_class": "connection",
			"input_tokens": 8.0, "output_tokens": 2.0, "cached_tokens": 0.0, "reasoning_tokens": 0.0, "usage": "estimated",
		}},
		{"a stream that went on elsewhere costs twice", f.cut(f.begun("one ")...), f.send(0, withUsage(f.events("one ", "two"))...), "resume on", streamed, fields{
			"model": "p", "pool": "p", "deployment": "b", "attempts": 2.0, "fallbacks": 0.0, "ttft_ms": some,
			"input_tokens": 8.0 + 3.0, "output_tokens": 1.0 + 4.0, "cached_tokens": 0.0, "reasoning_tokens": 0.0, "usage": "estimated",
		}},
		{"a stream that went on where nobody tells", f.cut(f.begun("one ")...), f.send(0, f.events("one ", "two")...), "resume on", streamed, fields{
			"model": "p", "pool": "p", "deployment": "b", "attempts": 2.0, "fallbacks": 0.0, "ttft_ms": some, "usage": "unknown",
		}},
		{"a failed attempt costs nothing", busy, scripted.OK("Hi there"), "", plain, fields{
			"model": "p", "pool": "p", "deployment": "b", "attempts": 2.0, "fallbacks": 0.0,
			"input_tokens": 3.0, "output_tokens": 2.0, "cached_tokens": 0.0, "reasoning_tokens": 0.0, "usage": "reported",
		}},
		{"a failure", busy, busy, "", plain, fields{
			"model": "p", "pool": "p", "deployment": "b", "attempts": 2.0, "fallbacks": 0.0, "error_class": "overloaded", "usage": "unknown",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(tt.a), scripted.New(t)
			if tt.b != nil {
				b.Always(tt.b)
			}
			s := caddyharness.Load(t, logged(twoInOrder(a, b, "retries 0\n"+tt.policy)))
			ask(t, s, chatPath, tt.body)
			line := s.AccessLog(t, 0)
			got, _ := line.Fields["llm_router"].(map[string]any)
			for _, name := range placeholders {
				if want, there := tt.want[name]; there {
					if ms, _ := got[name].(float64); want == some && (ms <= 0 || ms > 20_000) || want != some && got[name] != want {
						t.Errorf("%s: got %v, want %v", name, got[name], want)
					}
				} else if _, there := got[name]; there {
					t.Errorf("%s: got %v, want it left out", name, got[name])
				}
				field, there := got[name]
				if !there {
					field = ""
				}
				if placeholder := line.Fields["x_"+name]; placeholder != field {
					t.Errorf("%s: got the placeholder %v, want what is in the field: %v", name, placeholder, field)
				}
			}
			if len(got) != len(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// What is named is one deployment: its pool is not the one that was fallen back to when
// nothing could be tried there.
func TestTheAccessLogNamesADeploymentWithItsPool(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Error(401, "", "", "Incorrect API key provided")), scripted.New(t)
	s := caddyharness.Load(t, logged(fmt.Sprintf(`
		pool p {
			deployment a %s {
				api_key own-key
			}
			fallback q
		}
		pool q {
			deployment b %s {
				rpm 1
			}
		}`, a.URL, b.URL)))
	ask(t, s, chatPath, `{"model":"q","messages":[]}`).served(t, "ok", "b", 1, 0)
	if g := ask(t, s, chatPath, plain); g.status != 401 || g.header.Get("X-LLM-Pool") != "p" {
		t.Fatalf("got %d of pool %q, want the 401 of pool p", g.status, g.header.Get("X-LLM-Pool"))
	}
	line := s.AccessLog(t, 1)
	got, _ := line.Fields["llm_router"].(map[string]any)
	if got["pool"] != "p" || got["deployment"] != "a" || line.Fields["x_pool"] != "p" {
		t.Errorf("got %v and the placeholder %v, want deployment a of pool p", got, line.Fields["x_pool"])
	}
	// Where nothing was tried anywhere, it is the last pool.
	ask(t, s, chatPath, plain)
	if got, _ := s.AccessLog(t, 2).Fields["llm_router"].(map[string]any); got["pool"] != "q" || got["deployment"] != nil {
		t.Errorf("got %v, want pool q and no deployment", got)
	}
}

// The time to the first token is the client's: with failed attempts and waits.
func TestTheFirstTokenIsTimedFromTheRequest(t *testing.T) {
	const late = 150 * time.Millisecond
	a := scripted.New(t).Always(scripted.After(late, scripted.Error(503, "server_error", "", "busy")))
	b := scripted.New(t).Always(scripted.Chat(0, "Hi"))
	s := caddyharness.Load(t, logged(twoInOrder(a, b, "retries 0")))
	ask(t, s, chatPath, streamed)
	got, _ := s.AccessLog(t, 0).Fields["llm_router"].(map[string]any)
	if ms, _ := got["ttft_ms"].(float64); ms < float64(late.Milliseconds()) {
		t.Errorf("got %v ms, want at least those of the attempt that failed", got["ttft_ms"])
	}
}

func TestTheAccessLogOfAClientThatLeaves(t *testing.T) {
	a := scripted.New(t).Always(chatFormat.stall(chatFormat.begun("one ", "two")...))
	s := caddyharness.Load(t, logged(alone(a, "")))
	leave, _ := beginStream(t, s, "two")
	leave()
	got, _ := s.AccessLog(t, 0).Fields["llm_router"].(map[string]any)
	if got["error_class"] != "canceled" || got["usage"] != "estimated" || got["output_tokens"] != 2.0 {
		t.Errorf("got %v, want an estimate for a client that left", got)
	}
}

// Of a request that came to no pool there is nothing to tell, and of a long model
// not all of it.
func TestTheAccessLogOfHostileRequests(t *testing.T) {
	s := caddyharness.Load(t, logged("pool * {\n\tdeployment a "+scripted.New(t).URL+"\n}\nmodel {http.request.header.X-Model}"))
	ask(t, s, chatPath, `{"model":`)
	if e := s.AccessLog(t, 0); e.Fields["llm_router"] != nil || e.Fields["x_pool"] != nil {
		t.Errorf("got %s, want nothing of the router", e.Raw)
	}
	ask(t, s, chatPath, plain, "X-Model", strings.Repeat("é", 2000))
	got, _ := s.AccessLog(t, 1).Fields["llm_router"].(map[string]any)
	if model, _ := got["model"].(string); model != strings.Repeat("é", 128)+"…" {
		t.Errorf("got a model of %d bytes, want the first 256", len(model))
	}
	ask(t, s, chatPath, plain, "X-Model", "a \\ \" b")
	got, _ = s.AccessLog(t, 2).Fields["llm_router"].(map[string]any)
	if got["model"] != "a \\ \" b" {
		t.Errorf("got %v, want the model as it is", got)
	}
}

// Two routers in one config are asked one after the other: the fields are those
// of the one that served.
func TestTheAccessLogOfTwoRoutersInARow(t *testing.T) {
	first, second := scripted.New(t), scripted.New(t)
	s := caddyharness.Load(t, ":8080 {\n\tlog\n\troute {\n\t\tllm_router {\n\t\t\tunknown_model next\n\t\t\tpool x {\n\t\t\t\tdeployment a "+first.URL+
		"\n\t\t\t}\n\t\t}\n\t\tllm_router {\n"+alone(second, "")+"\t\t}\n\t}\n}\n")
	ask(t, s, chatPath, plain)
	got, _ := s.AccessLog(t, 0).Fields["llm_router"].(map[string]any)
	if got["pool"] != "p" || got["attempts"] != 1.0 {
		t.Errorf("got %v, want those of the second router", got)
	}
}
