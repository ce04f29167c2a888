package wholepath

import (
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
)

// usageEvent is the event that stream_options.include_usage asks for.
const usageEvent = `{"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`

// withUsage are the events with the usage before the last of them.
func withUsage(events []string) []string {
	end := len(events) - 1
	return append(append(append([]string(nil), events[:end]...), usageEvent), events[end])
}

func TestUsageInStreamIsHiddenFromClientsThatDidNotAsk(t *testing.T) {
	const asked = `"stream_options":{"include_usage":true}`
	for _, f := range []format{chatFormat, completionsFormat} {
		events := f.events("one ", "two")
		for name, tt := range map[string]struct {
			policy  string
			options string // of the client
			sent    bool   // the upstream is asked
			want    []string
		}{
			"on":                          {"usage_in_stream on", "", true, events},
			"on, with resume":             {"usage_in_stream on\nresume on", "", true, events},
			"on, said no":                 {"usage_in_stream on", `"stream_options":{"include_usage":false},`, true, events},
			"on, the client asks":         {"usage_in_stream on", asked + ",", true, withUsage(events)},
			"off":                         {"usage_in_stream off", "", false, withUsage(events)},
			"off by default":              {"", "", false, withUsage(events)},
			"off, the client asks":        {"", asked + ",", true, withUsage(events)},
			"off, the client says no":     {"", `"stream_options":{"include_usage":false},`, false, withUsage(events)},
			"on, the client's own option": {"usage_in_stream on", `"stream_options":{"x":1,"include_usage":null},`, false, events},
		} {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				a := scripted.New(t).Always(f.send(0, withUsage(events)...))
				s := routerWith(t, alone(a, tt.policy))
				g := ask(t, s, f.path, "{"+tt.options+f.request[1:])
				f.checkStream(t, g, "one two")
				if want := f.wire(tt.want...); g.body != want {
					t.Errorf("got %q, want %q", g.body, want)
				}
				if body := string(a.Last(t).Body); strings.Contains(body, asked) != tt.sent {
					t.Errorf("the upstream got %s, want %s in it: %v", body, asked, tt.sent)
				}
			})
		}
	}
}

// An answer without content is held to its end, the usage with it.
func TestUsageInStreamIsHiddenInWhatIsHeld(t *testing.T) {
	f := chatFormat
	for name, events := range map[string][]string{
		"an empty answer":    f.events(),
		"before the content": append([]string{usageEvent}, f.events("one")...),
	} {
		t.Run(name, func(t *testing.T) {
			a := scripted.New(t).Always(f.send(0, withUsage(events)...))
			s := routerWith(t, alone(a, "usage_in_stream on"))
			g := ask(t, s, f.path, f.request)
			if want := strings.ReplaceAll(f.wire(events...), f.wire(usageEvent), ""); g.status != 200 || g.body != want {
				t.Errorf("got status %d, %q; want %q", g.status, g.body, want)
			}
		})
	}
}

func TestUsageInStreamIsHiddenWhereAStreamGoesOn(t *testing.T) {
	for _, f := range []format{chatFormat, completionsFormat} {
		t.Run(f.name, func(t *testing.T) {
			a := scripted.New(t).Always(f.cut(append([]string{usageEvent}, f.begun("one ")...)...))
			b := scripted.New(t).Always(f.send(0, append([]string{usageEvent}, withUsage(f.events("one ", "two"))...)...))
			s := routerWith(t, twoInOrder(a, b, resumePolicy+"\nusage_in_stream on"))
			g := ask(t, s, f.path, f.request)
			f.checkStream(t, g, "one two")
			if strings.Contains(g.body, "prompt_tokens") {
				t.Errorf("got the usage, want it taken out: %s", g.body)
			}
			for name, u := range map[string]*scripted.Upstream{"a": a, "b": b} {
				if body := string(u.Last(t).Body); !strings.Contains(body, `"include_usage":true`) {
					t.Errorf("deployment %s got %s, want it asked for the usage", name, body)
				}
			}
		})
	}
}

// Whatever stands where the usage should be, the answer passes as it came.
func TestAnswersPassWithAnyUsage(t *testing.T) {
	f := chatFormat
	for name, usage := range map[string]string{
		"negative": `{"prompt_tokens":-3,"completion_tokens":4}`,
		"absurd":   `{"prompt_tokens":1e99,"completion_tokens":99999999999999999999}`,
		"text":     `"many"`,
		"a list":   `[{"prompt_tokens":[]}]`,
		"deep":     strings.Repeat(`{"prompt_tokens_details":`, 900) + "{}" + strings.Repeat("}", 900),
	} {
		t.Run(name, func(t *testing.T) {
			events := append(f.begun("one"), `{"choices":[],"usage":`+usage+`}`, f.tail[0], f.tail[1])
			body := `{"choices":[{"message":{"content":"one"}}],"usage":` + usage + `}`
			a := scripted.New(t).Then(f.send(0, events...), scripted.Reply(200, nil, body))
			s := routerWith(t, alone(a, ""))
			checkWhole(t, ask(t, s, f.path, f.request), f.wire(events...))
			checkWhole(t, ask(t, s, f.path, plain), body)
		})
	}
}

// What is too large to be read passes unread, with the usage that follows it.
func TestUsageInStreamAfterAnEventBeyondTheLimit(t *testing.T) {
	f := chatFormat
	events := withUsage(f.events("one ", strings.Repeat("x", sse.MaxEvent)))
	a := scripted.New(t).Always(f.send(0, events...))
	s := routerWith(t, alone(a, "usage_in_stream on"))
	checkWhole(t, ask(t, s, f.path, f.request), f.wire(events...))
}

func TestPriorityOfAClientReachesNoScheduler(t *testing.T) {
	for name, tt := range map[string]struct{ policy, want string }{
		"on":  {"pass_priority on", `"priority":0,`},
		"off": {"pass_priority off", `"priority":-99,`},
	} {
		t.Run(name, func(t *testing.T) {
			a := scripted.New(t)
			s := routerWith(t, "pool p {\n\tdeployment a "+a.URL+" {\n\t"+tt.policy+"\n}\n}")
			ask(t, s, chatPath, `{"priority":-99,`+plain[1:]).served(t, "ok", "a", 1, 0)
			if body := string(a.Last(t).Body); !strings.Contains(body, tt.want) {
				t.Errorf("the upstream got %s, want %s", body, tt.want)
			}
		})
	}
}
