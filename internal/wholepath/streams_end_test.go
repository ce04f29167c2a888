package wholepath

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// withClass runs a router whose access log says what became of a request.
func withClass(t *testing.T, pools string) *caddyharness.Server {
	t.Helper()
	return caddyharness.Load(t, ":8080 {\n\tlog\n\tlog_append class {http.llm_router.error_class}\n\tllm_router {\n"+pools+"\n\t}\n}\n")
}

// class is what the access log says of the request for a path.
func class(t *testing.T, s *caddyharness.Server, path string) any {
	t.Helper()
	return s.WaitForLog(t, func(e caddyharness.Entry) bool {
		request, _ := e.Fields["request"].(map[string]any)
		return strings.HasPrefix(e.Logger, "http.log.access") && request["uri"] == path
	}).Fields["class"]
}

// The answer is over with its last event, whatever the upstream does after it.
func TestStreamsEndWithTheirLastEvent(t *testing.T) {
	for _, f := range formats {
		events := f.events("one ", "two")
		for name, step := range map[string]scripted.Step{
			"lingers": f.stall(events...),
			"cut":     f.cut(events...),
			"goes on": func(w http.ResponseWriter, r *http.Request) {
				f.send(0, events...)(w, r)
				for r.Context().Err() == nil {
					time.Sleep(50 * time.Millisecond)
					_, _ = io.WriteString(w, "\n")
					w.(http.Flusher).Flush()
				}
			},
		} {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				a := scripted.New(t).Always(step)
				s := withClass(t, alone(a, "idle_timeout 15s"))
				g := ask(t, s, f.path, f.request)
				if name == "goes on" {
					g.body = g.body[:min(len(g.body), len(f.wire(events...)))]
				}
				f.checkStream(t, g, "one two")
				if g.took > 5*time.Second {
					t.Errorf("took %v, want no more than a moment", g.took)
				}
				if got := class(t, s, f.path); got != "" {
					t.Errorf("got class %v, want a success", got)
				}
			})
		}
	}
}

// A client that leaves with the last event has had its answer; one that leaves
// earlier has not.
func TestAClientMayLeaveWithTheLastEvent(t *testing.T) {
	for _, f := range formats {
		for want, events := range map[string][]string{"": f.events("one ", "two"), "canceled": f.begun("one ", "two")} {
			t.Run(f.name+"/"+want, func(t *testing.T) {
				a := scripted.New(t).Always(f.stall(events...))
				s := withClass(t, alone(a, ""))
				resp, err := s.Client().Post(s.URL(f.path), "application/json", strings.NewReader(f.request))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(resp.Body, make([]byte, len(f.wire(events...)))); err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if got := class(t, s, f.path); got != want {
					t.Errorf("got class %v, want %q", got, want)
				}
			})
		}
	}
}

// In chat, usage may follow the finish_reason, however late.
func TestUsageAfterTheFinishReasonIsAwaited(t *testing.T) {
	f := chatFormat
	const usage = `{"id":"c1","choices":[],"usage":{"completion_tokens":2}}`
	events := []string{f.head[0], f.piece("one"), f.tail[0], usage, "[DONE]"}
	a := scripted.New(t).Always(f.send(0, events...))
	s := routerWith(t, alone(a, ""))
	checkWhole(t, ask(t, s, f.path, f.request), f.wire(events...))

	a.Always(func(w http.ResponseWriter, r *http.Request) {
		f.send(0, events[:3]...)(w, r)
		time.Sleep(time.Second)
		_, _ = io.WriteString(w, f.wire(events[3:]...))
	})
	checkWhole(t, ask(t, s, f.path, f.request), f.wire(events...))
}

// Some servers say [DONE] where the format has none.
func TestWhatFollowsTheLastEventIsPassedOn(t *testing.T) {
	for _, f := range []format{responsesFormat, messagesFormat} {
		t.Run(f.name, func(t *testing.T) {
			events := append(f.events("one"), "[DONE]")
			for _, interval := range []time.Duration{0, 20 * time.Millisecond} {
				a := scripted.New(t).Always(f.send(interval, events...))
				t.Run(interval.String(), func(t *testing.T) {
					s := routerWith(t, alone(a, ""))
					checkWhole(t, ask(t, s, f.path, f.request), f.wire(events...))
				})
			}
		})
	}
}

// The connection is worth a moment's wait: the upstream's end comes apart from
// its last event.
func TestStreamsLeaveTheConnectionForTheNext(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			var mu sync.Mutex
			from := make(map[string]bool)
			send := f.send(0, f.events("one")...)
			a := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				from[r.RemoteAddr] = true
				mu.Unlock()
				send(w, r)
				time.Sleep(5 * time.Millisecond)
			})
			s := routerWith(t, alone(a, ""))
			for range 20 {
				f.checkStream(t, ask(t, s, f.path, f.request), "one")
			}
			mu.Lock()
			defer mu.Unlock()
			if len(from) != 1 {
				t.Errorf("got %d connections for 20 streams, want one", len(from))
			}
		})
	}
}
