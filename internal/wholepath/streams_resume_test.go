package wholepath

import (
	"fmt"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// resumable are the dialects whose streams can go on elsewhere.
var resumable = []format{chatFormat, completionsFormat, messagesFormat, ollamaFormat}

// breaks are the ways in which a stream of these events breaks.
func (f format) breaks(events []string) map[string]scripted.Step {
	withError := append(events[:len(events):len(events)], f.failure)
	return map[string]scripted.Step{
		"cut":   f.cut(events...),
		"end":   f.send(0, events...),
		"stall": f.stall(events...),
		"error": f.send(0, withError...),
	}
}

const resumePolicy = "resume on\nidle_timeout 200ms\nfirst_token_timeout 5s"

// Whoever goes on says the whole answer again, in pieces of its own; the client
// gets exactly what it does not have.
func TestResumeGoesOnWhereTheClientIs(t *testing.T) {
	fox := []string{"The quick brown fox jumps, ", "\"über\" ", "the lazy \\dog\n", "🐕."}
	for _, f := range resumable {
		for name, step := range f.breaks(f.begun("The quick ", "brown fox")) {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				a, b := scripted.New(t).Always(step), scripted.New(t).Always(f.send(0, f.events(fox...)...))
				s := routerWith(t, twoInOrder(a, b, resumePolicy))
				g := ask(t, s, f.path, f.request)
				f.checkStream(t, g, strings.Join(fox, ""))
				g.by(t, "a", 1, 0) // the head was a's
				counts(t, "a", a, 1)
				counts(t, "b", b, 1)
				if e := lines(s, "attempt failed"); len(e) != 1 || e[0].Fields["deployment"] != "a" {
					t.Errorf("got %v, want one failure, of a", e)
				}
				if e := lines(s, "request failed"); len(e) != 0 {
					t.Errorf("got %d warnings for a request that was served", len(e))
				}
			})
		}
	}
}

func TestResumeMayBreakAgain(t *testing.T) {
	for _, f := range resumable {
		t.Run(f.name, func(t *testing.T) {
			a := scripted.New(t).Always(f.cut(f.begun("one ")...))
			b := scripted.New(t).Always(f.cut(f.begun("one two ", "th")...))
			c := scripted.New(t).Always(f.send(0, f.events("o", "ne", " two three", " four")...))
			s := routerWith(t, strings.Replace(twoInOrder(a, b, resumePolicy), "pool p {", "pool p {\n deployment c "+c.URL+" {\n order 3\n }", 1))
			f.checkStream(t, ask(t, s, f.path, f.request), "one two three four")
		})
	}
}

// A deployment that cannot go on is no reason to give up.
func TestResumeFailsOver(t *testing.T) {
	f := chatFormat
	steps := map[string]scripted.Step{
		"503":                   scripted.Reply(503, nil, "{}"),
		"reset":                 scripted.ResetBeforeHeaders(),
		"cut while catching up": f.cut(f.begun("on")...),
		"silent":                f.stall(f.begun("on")...),
		"error event":           f.send(0, f.begun()[0], f.failure),
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			a := scripted.New(t).Always(f.cut(f.begun("one ")...))
			b, c := scripted.New(t).Always(step), scripted.New(t).Always(f.send(0, f.events("one two")...))
			pool := strings.Replace(twoInOrder(a, b, resumePolicy+"\ndeadline 3s"), "pool p {", "pool p {\n deployment c "+c.URL+" {\n order 3\n }", 1)
			s := routerWith(t, strings.Replace(pool, "first_token_timeout 5s", "first_token_timeout 400ms", 1))
			f.checkStream(t, ask(t, s, f.path, f.request), "one two")
		})
	}
}

func TestResumeOnTheSameDeploymentIsARetry(t *testing.T) {
	f := chatFormat
	a := scripted.New(t).Then(f.cut(f.begun("one ")...)).Always(f.send(0, f.events("one two")...))
	s := routerWith(t, alone(a, resumePolicy))
	f.checkStream(t, ask(t, s, f.path, f.request), "one two")
	counts(t, "a", a, 2)
}

func TestResumeOnTheFallbackPool(t *testing.T) {
	for _, f := range resumable {
		t.Run(f.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(f.cut(f.begun("one ")...)), scripted.New(t).Always(f.send(0, f.events("one two")...))
			s := routerWith(t, withFallback(a, b, resumePolicy+"\nretries 0"))
			f.checkStream(t, ask(t, s, f.path, f.request), "one two")
			if model := string(b.Last(t).Body); !strings.Contains(model, `"model":"q"`) {
				t.Errorf("the fallback pool got %q, want its own model", model)
			}
		})
	}
}

func TestResumeWithADifferentText(t *testing.T) {
	for _, f := range resumable {
		begun := f.begun("one ", "two ")
		others := map[string][]string{
			"other words": f.events("one ", "too"),
			"shorter":     f.events("one"),
			"empty":       f.events(),
		}
		for name, events := range others {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				a, b, c := scripted.New(t).Always(f.cut(begun...)), scripted.New(t).Always(f.send(0, events...)), scripted.New(t)
				s := routerWith(t, strings.Replace(twoInOrder(a, b, resumePolicy), "pool p {", "pool p {\n deployment c "+c.URL+" {\n order 3\n }", 1))
				f.checkBroken(t, ask(t, s, f.path, f.request), begun)
				counts(t, "b", b, 1)
				counts(t, "c", c, 0)
				if e := lines(s, "request failed"); len(e) != 1 {
					t.Errorf("got %d warnings, want one", len(e))
				}
			})
		}
	}
}

// A deployment that answers something else has not failed.
func TestADifferentTextDoesNotCoolADeployment(t *testing.T) {
	f := chatFormat
	a, b := scripted.New(t).Always(f.cut(f.begun("one ")...)), scripted.New(t).Always(f.send(0, f.events("two")...))
	s := routerWith(t, twoInOrder(a, b, resumePolicy))
	for range 12 {
		ask(t, s, f.path, f.request)
	}
	for _, e := range lines(s, "attempt failed, deployment cools down") {
		if e.Fields["deployment"] == "b" {
			t.Errorf("b cools: %s", e.Raw)
		}
	}
}

// What cannot be compared is not resumed.
func TestResumeLeavesToolCallsAlone(t *testing.T) {
	f := chatFormat
	begun := append(f.begun(), chatChunk(`{"tool_calls":[{"index":0,"id":"t1","function":{"name":"f","arguments":"{\"a\""}}]}`, "null"))
	a, b := scripted.New(t).Always(f.cut(begun...)), scripted.New(t)
	s := routerWith(t, twoInOrder(a, b, resumePolicy))
	f.checkBroken(t, ask(t, s, f.path, f.request), begun)
	counts(t, "b", b, 0)
}

// What a pool says of resuming does not hold in the one that it falls back to.
func TestResumeIsForItsPoolOnly(t *testing.T) {
	for _, f := range resumable {
		t.Run(f.name, func(t *testing.T) {
			begun := f.begun("one ")
			a := scripted.New(t).Always(f.send(0, append(f.begun(), f.failure)...))
			b, c := scripted.New(t).Always(f.cut(begun...)), scripted.New(t).Always(f.send(0, f.events("one two")...))
			s := routerWith(t, fmt.Sprintf("retries 0\npool p {\nresume on\ndeployment a %s\nfallback q\n}\npool q {\ndeployment b %s\ndeployment c %s {\norder 2\n}\n}\n", a.URL, b.URL, c.URL))
			f.checkBroken(t, ask(t, s, f.path, f.request), begun)
			counts(t, "a", a, 1)
			counts(t, "c", c, 0)
		})
	}
}
