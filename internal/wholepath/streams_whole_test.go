package wholepath

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// A stream that tells its length is a stream all the same: what the router adds
// or drops must not contradict the length that the client was told.
func TestStreamsThatTellTheirLength(t *testing.T) {
	f := chatFormat
	events := f.events("one ", "two")
	sized := func(events ...string) scripted.Step {
		body := f.wire(events...)
		return scripted.Reply(200, http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {fmt.Sprint(len(body))}}, body)
	}
	tests := []struct {
		name string
		step scripted.Step
	}{
		{"whole", sized(events...)},
		{"without [DONE]", sized(events[:len(events)-1]...)},
		{"with a malformed event", sized(append([]string{"{nonsense", events[0]}, events[1:]...)...)},
		{"cut, and resumed", sized(f.begun("one ")...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(tt.step), scripted.New(t).Always(f.send(0, events...))
			s := routerWith(t, twoInOrder(a, b, "resume on"))
			f.checkStream(t, ask(t, s, f.path, f.request), "one two")
		})
	}
	t.Run("cut, and not resumed", func(t *testing.T) {
		a := scripted.New(t).Always(sized(f.begun("one ")...))
		s := routerWith(t, alone(a, ""))
		f.checkBroken(t, ask(t, s, f.path, f.request), f.begun("one "))
	})
}

// Where nothing is left, an error event before content is the upstream's answer.
func TestErrorEventsBeforeContentArePassedOnAtLast(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			events := append(f.begun(), f.failure)
			a := scripted.New(t).Always(f.send(0, events...))
			s := routerWith(t, alone(a, "retries 0"))
			g := ask(t, s, f.path, f.request)
			if want := f.wire(events...); g.status != 200 || g.body != want || g.err != nil {
				t.Errorf("got %d %q, error %v; want %q", g.status, g.body, g.err, want)
			}
			g.by(t, "a", 1, 0)
			if v := g.header.Get("X-Should-Retry"); v != "true" {
				t.Errorf("X-Should-Retry: got %q, want true", v)
			}
		})
	}
}

func TestAnswersThatDoNotStream(t *testing.T) {
	t.Run("cut after two thirds, asked again", func(t *testing.T) {
		whole := `{"choices":[{"message":{"content":"` + strings.Repeat("x", 300<<10) + `"}}]}`
		a := scripted.New(t).Always(scripted.CutAfter(len(whole)*2/3, scripted.Reply(200, http.Header{"Content-Length": {fmt.Sprint(len(whole))}}, whole)))
		b := scripted.New(t).Always(scripted.Reply(200, nil, whole))
		s := routerWith(t, twoInOrder(a, b, ""))
		g := ask(t, s, chatPath, plain)
		g.served(t, whole, "b", 2, 0)
		if g.body != whole {
			t.Errorf("got %d bytes, want %d", len(g.body), len(whole))
		}
	})
	t.Run("cut without a length, asked again", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.CutAfter(100, scripted.OK("an answer that is a little longer than that")))
		b := scripted.New(t)
		s := routerWith(t, twoInOrder(a, b, ""))
		ask(t, s, chatPath, plain).served(t, "ok", "b", 2, 0)
	})
	long := `{"data":"` + strings.Repeat("x", 3<<20) + `"}`
	for _, length := range []string{fmt.Sprint(len(long)), ""} {
		t.Run("over 1 MiB, passed through with length "+length, func(t *testing.T) {
			header := http.Header{}
			if length != "" {
				header.Set("Content-Length", length)
			}
			a := scripted.New(t).Always(scripted.Reply(200, header, long))
			s := routerWith(t, alone(a, ""))
			g := ask(t, s, "/v1/embeddings", `{"model":"p","input":"x"}`)
			if g.body != long || g.err != nil || g.header.Get("Content-Length") != length {
				t.Errorf("got %d bytes, Content-Length %q, error %v; want %d bytes and %q", len(g.body), g.header.Get("Content-Length"), g.err, len(long), length)
			}
		})
	}
	t.Run("over 1 MiB and cut, never whole for the client", func(t *testing.T) {
		a, b := scripted.New(t).Always(scripted.CutAfter(2<<20, scripted.Reply(200, nil, long))), scripted.New(t)
		s := routerWith(t, twoInOrder(a, b, ""))
		g := ask(t, s, "/v1/embeddings", `{"model":"p","input":"x"}`)
		if g.err == nil {
			t.Errorf("got %d bytes and no error, want a connection that is cut", len(g.body))
		}
		if n := len(g.body); n > len(long) || !strings.HasPrefix(long, g.body) {
			t.Errorf("got %d bytes that are no part of the answer", n)
		}
		counts(t, "b", b, 0)
		if e := lines(s, "request failed"); len(e) != 1 {
			t.Errorf("got %d warnings, want one", len(e))
		}
	})
	t.Run("trailers", func(t *testing.T) {
		for name, announced := range map[string]bool{"announced": true, "not announced": false} {
			t.Run(name, func(t *testing.T) {
				a := scripted.New(t).Always(func(w http.ResponseWriter, _ *http.Request) {
					key := http.TrailerPrefix + "X-Checksum"
					if announced {
						w.Header().Set("Trailer", "X-Checksum")
						key = "X-Checksum"
					}
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"ok":1}`)
					w.(http.Flusher).Flush()
					w.Header().Set(key, "abc")
				})
				s := routerWith(t, alone(a, ""))
				g := ask(t, s, chatPath, plain)
				if g.body != `{"ok":1}` || g.trailer.Get("X-Checksum") != "abc" {
					t.Errorf("got %q with trailers %v, want X-Checksum abc", g.body, g.trailer)
				}
			})
		}
		t.Run("of a stream", func(t *testing.T) {
			a := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Usage")
				scripted.Chat(0, "one")(w, r)
				w.Header().Set("X-Usage", "7")
			})
			s := routerWith(t, alone(a, ""))
			if g := ask(t, s, chatPath, streamed); g.trailer.Get("X-Usage") != "7" || g.err != nil {
				t.Errorf("got trailers %v, error %v; want X-Usage 7", g.trailer, g.err)
			}
		})
	})
}
