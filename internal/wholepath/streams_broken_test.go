package wholepath

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Before the client has content a stream that breaks is a failure like any
// other.
func TestStreamsThatFailBeforeContentFailOver(t *testing.T) {
	for _, f := range formats {
		keepAlive := f.send(50*time.Millisecond, repeat(100, ": keep-alive", f)...)
		steps := map[string]scripted.Step{
			"error event":            f.send(0, append(f.begun(), f.failure)...),
			"empty":                  f.send(0),
			"lifecycle alone":        f.send(0, f.begun()...),
			"cut":                    f.cut(f.begun()...),
			"silence":                f.stall(f.begun()...),
			"keep-alives alone":      keepAlive,
			"JSON that is an error":  scripted.Reply(200, nil, `{"error":{"message":"The engine is overloaded","type":"server_error"}}`),
			"malformed events alone": f.send(0, "{not json", "{nor this"),
			"empty pieces, and cut":  f.cut(repeat(3, f.piece(""), f)...),
		}
		if f.hasDone() {
			steps["[DONE] alone"] = f.send(0, "[DONE]")
		}
		for name, step := range steps {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				a, b := scripted.New(t).Always(step), scripted.New(t).Always(f.send(0, f.events("from ", "b")...))
				s := routerWith(t, twoInOrder(a, b, "first_token_timeout 250ms"))
				g := ask(t, s, f.path, f.request)
				f.checkStream(t, g, "from b")
				g.by(t, "b", 2, 0)
				if g.took > 5*time.Second {
					t.Errorf("took %v, want about first_token_timeout", g.took)
				}
				counts(t, "a", a, 1)
			})
		}
	}
}

// Whoever sends a lot that is no content has the client's ear after 64 KiB, and
// with it the answer.
func TestTheHeadIsNotHeldForEver(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			a := scripted.New(t).Always(f.send(0, append(repeat(2000, f.piece(""), f), f.events("one")...)...))
			s := routerWith(t, alone(a, "idle_timeout 200ms\nretries 0"))
			f.checkStream(t, ask(t, s, f.path, f.request), "one")

			held := repeat(2000, f.piece(""), f)
			a.Always(f.stall(held...))
			if g := ask(t, s, f.path, f.request); !strings.HasPrefix(g.body, f.wire(held[:500]...)) {
				t.Errorf("got %d bytes, want those beyond the limit of what is held", len(g.body))
			}
		})
	}
}

// repeat is an event so many times; Ollama has no comments, but empty pieces.
func repeat(n int, event string, f format) []string {
	if f.ndjson && event[0] == ':' {
		event = f.piece("")
	}
	var all []string
	for range n {
		all = append(all, event)
	}
	return all
}

// After the client has content a stream that breaks ends with exactly one error
// event, in its dialect, and never looks complete.
func TestStreamsThatBreakEndWithAnError(t *testing.T) {
	for _, f := range formats {
		begun := f.begun("one ", "two ")
		half := f.wire(f.piece("three"))
		tests := []struct {
			name string
			step scripted.Step
		}{
			{"cut", f.cut(begun...)},
			{"ended without its end", f.send(0, begun...)},
			{"cut inside an event", func(w http.ResponseWriter, r *http.Request) {
				f.send(0, begun...)(w, r)
				_, _ = io.WriteString(w, half[:len(half)/2])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}},
			{"silent", f.stall(begun...)},
		}
		for _, tt := range tests {
			t.Run(f.name+"/"+tt.name, func(t *testing.T) {
				a, b := scripted.New(t).Always(tt.step), scripted.New(t)
				s := routerWith(t, twoInOrder(a, b, "idle_timeout 200ms"))
				g := ask(t, s, f.path, f.request)
				f.checkBroken(t, g, begun)
				counts(t, "a", a, 1)
				counts(t, "b", b, 0)
				if e := lines(s, "request failed"); len(e) != 1 {
					t.Errorf("got %d warnings, want one", len(e))
				}
				if tt.name == "silent" {
					a.WaitCanceled(t, 1)
				}
			})
		}
	}
}

// checkBroken checks that a client got these events, then one error event of
// the router's own, then nothing.
func (f format) checkBroken(t *testing.T, g got, events []string) {
	t.Helper()
	rest, ok := strings.CutPrefix(g.body, f.wire(events...))
	if g.status != 200 || g.err != nil || !ok {
		t.Fatalf("got %d, error %v, %q; want 200 and the events that came", g.status, g.err, g.body)
	}
	all := data(t, rest)
	if len(all) != 1 || strings.Contains(g.body, "[DONE]") {
		t.Fatalf("got %q after the content, want one error event", rest)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(all[0]), &e); err != nil {
		t.Fatalf("error event %q: %v", all[0], err)
	}
	if want := "\n\n"; !f.ndjson && !strings.HasSuffix(rest, want) {
		t.Errorf("got %q, want a blank line after the event", rest)
	}
	switch f.name {
	case "chat", "completions":
		if member(e, "error", "message") == "" || member(e, "error", "type") != "server_error" || !strings.HasPrefix(rest, "data: ") {
			t.Errorf("got %q, want OpenAI's error event", rest)
		}
	case "Responses":
		if e["type"] != "error" || member(e, "message") == "" || e["sequence_number"] != 3.0 || !strings.HasPrefix(rest, "event: error\ndata: ") {
			t.Errorf("got %q, want the error event of the Responses API, number 3", rest)
		}
	case "Anthropic":
		if e["type"] != "error" || member(e, "error", "message") == "" || member(e, "error", "type") == "" || !strings.HasPrefix(rest, "event: error\ndata: ") {
			t.Errorf("got %q, want Anthropic's error event", rest)
		}
	case "Ollama":
		if member(e, "error") == "" {
			t.Errorf("got %q, want Ollama's error line", rest)
		}
	}
}

// An error that the upstream sends after content is its own last word.
func TestErrorEventsAfterContentArePassedOn(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			events := append(f.begun("one "), f.failure)
			a := scripted.New(t).Always(f.send(0, append(events[:len(events):len(events)], f.tail...)...))
			s := routerWith(t, alone(a, ""))
			if g := ask(t, s, f.path, f.request); g.body != f.wire(events...) || g.err != nil {
				t.Errorf("got %q, error %v; want %q", g.body, g.err, f.wire(events...))
			}
			if e := lines(s, "attempt failed"); len(e) != 1 || e[0].Fields["error_class"] != "overloaded" {
				t.Errorf("got %v, want one failure of class overloaded", e)
			}
		})
	}
}

func TestKeepAlivesReachTheClientOnceThereIsContent(t *testing.T) {
	a := scripted.New(t).Always(scripted.Stream(60*time.Millisecond, append(chatFormat.begun("one "), ": a", ": b", ": c", ": d", chatFormat.tail[0], "[DONE]")...))
	s := routerWith(t, alone(a, "idle_timeout 250ms"))
	g := ask(t, s, chatPath, streamed)
	chatFormat.checkStream(t, g, "one ")
	if !strings.Contains(g.body, ": a\n\n: b\n\n: c\n\n: d\n\n") {
		t.Errorf("got %q, want the comments in it", g.body)
	}
}

// idle_timeout is about the upstream's silence, not the client's slowness.
func TestASlowClientIsNoSilence(t *testing.T) {
	text := strings.Repeat("x", 64<<10)
	pieces := make([]string, 100)
	for i := range pieces {
		pieces[i] = text
	}
	a := scripted.New(t).Always(scripted.Stream(0, chatFormat.events(pieces...)...))
	s := routerWith(t, alone(a, "idle_timeout 200ms"))
	resp, err := s.Client().Post(s.URL(chatPath), "application/json", strings.NewReader(streamed))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 3 { // much longer than idle_timeout
		time.Sleep(250 * time.Millisecond)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("got %d bytes that end with %q, error %v; want the whole stream", len(body), body[max(0, len(body)-200):], err)
	}
}

func TestStreamsThatLackOnlyDoneAreComplete(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			events := f.events("one ", "two")
			if f.hasDone() {
				events = events[:len(events)-1]
			}
			ends := map[string]scripted.Step{"end": f.send(0, events...), "cut": f.cut(events...), "silence": f.stall(events...)}
			for name, step := range ends {
				t.Run(name, func(t *testing.T) {
					a, b := scripted.New(t).Always(step), scripted.New(t)
					s := routerWith(t, twoInOrder(a, b, "resume on\nidle_timeout 200ms"))
					g := ask(t, s, f.path, f.request)
					f.checkStream(t, g, "one two")
					g.by(t, "a", 1, 0)
					counts(t, "b", b, 0)
					if e := lines(s, "attempt failed"); len(e) != 0 {
						t.Errorf("got %v, want no failure", e)
					}
				})
			}
		})
	}
}

func TestMalformedEventsAreDropped(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			bad := []string{`data: {"choices":[{"delta":{"content":"x`, "data: hello", "event: message\ndata: {]"}
			if f.ndjson {
				bad = []string{`{"message":{"content":"x`, "hello", "{]"}
			}
			events := []string{bad[0]}
			for n, e := range f.events("one ", "two") {
				events = append(events, e, bad[n%len(bad)])
			}
			a := scripted.New(t).Always(f.send(0, events...))
			s := routerWith(t, alone(a, ""))
			g := ask(t, s, f.path, f.request)
			f.checkStream(t, g, "one two")
			if want := f.wire(f.events("one ", "two")...); g.body != want {
				t.Errorf("got %q, want %q", g.body, want)
			}
		})
	}
}
