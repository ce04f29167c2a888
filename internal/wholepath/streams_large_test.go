package wholepath

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
)

// Images come in base64, several megabytes of it in one event.

const (
	imagesPath    = "/v1/images/generations"
	imagesRequest = `{"model":"p","stream":true,"prompt":"A fox"}`
)

// imageFormat is how OpenAI streams an image, in a format that the router does
// not know.
var imageFormat = format{
	name: "images", path: imagesPath, request: imagesRequest,
	piece: func(s string) string {
		return "event: image_generation.partial_image\ndata: " + `{"type":"image_generation.partial_image","b64_json":` + quoted(s) + `,"partial_image_index":0}`
	},
	tail: []string{"event: image_generation.completed\ndata: " + `{"type":"image_generation.completed","b64_json":"eHh4"}`},
}

// withImages are all formats in which something large may come.
func withImages() []format { return append(formats[:len(formats):len(formats)], imageFormat) }

// checkWhole checks that a client got a stream as it was, at the first attempt.
func checkWhole(t *testing.T, g got, want string) {
	t.Helper()
	if g.status != 200 || g.err != nil || g.body != want {
		t.Errorf("got status %d, %d bytes, error %v; want 200 and all %d bytes", g.status, len(g.body), g.err, len(want))
	}
	g.by(t, "a", 1, 0)
}

func TestLargeStreamEventsPass(t *testing.T) {
	image := strings.Repeat("iVBORw0KGgo", 3<<20/11)
	completed := "event: response.completed\ndata: " + `{"type":"response.completed","response":{"status":"completed","output":[{"type":"image_generation_call","result":"` + image + `"}]}}`
	streams := map[string]struct {
		f      format
		events []string
	}{
		"Responses, completed with an image": {responsesFormat, append(responsesFormat.begun("one "), completed)},
		"Responses, nothing but an image": {responsesFormat, append(responsesFormat.begun(),
			"event: response.image_generation_call.partial_image\ndata: "+`{"type":"response.image_generation_call.partial_image","partial_image_b64":"`+image+`"}`, completed)},
		"Responses, a large head": {responsesFormat, append([]string{
			"event: response.created\ndata: " + `{"type":"response.created","response":{"instructions":"` + image + `"}}`,
		}, responsesFormat.events("one ")...)},
	}
	for _, f := range withImages() {
		streams[f.name+", first"] = struct {
			f      format
			events []string
		}{f, f.events(image, "two", image)}
		streams[f.name+", later"] = struct {
			f      format
			events []string
		}{f, f.events("one", image, "three")}
	}
	for name, s := range streams {
		for _, policy := range []string{"resume off", "resume on"} {
			t.Run(name+", "+policy, func(t *testing.T) {
				a, b := scripted.New(t).Always(s.f.send(0, s.events...)), scripted.New(t)
				r := routerWith(t, twoInOrder(a, b, policy))
				checkWhole(t, ask(t, r, s.f.path, s.f.request), s.f.wire(s.events...))
				counts(t, "b", b, 0)
				if e := lines(r, "attempt failed"); len(e) != 0 {
					t.Errorf("got %v, want no failure", e)
				}
			})
		}
	}
}

// A large event that takes long to come is no silence.
func TestLargeStreamEventsMayTakeLongerThanIdleTimeout(t *testing.T) {
	f := chatFormat
	wire := f.wire(f.events("one ", strings.Repeat("x", 1<<20))...)
	a := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for rest := wire; rest != ""; {
			n := min(len(rest), len(wire)/10+1)
			_, _ = io.WriteString(w, rest[:n])
			w.(http.Flusher).Flush()
			rest = rest[n:]
			time.Sleep(60 * time.Millisecond)
		}
	})
	s := routerWith(t, alone(a, "idle_timeout 300ms\nretries 0"))
	checkWhole(t, ask(t, s, f.path, f.request), wire)
}

// What is too large to be read is passed on all the same, with all that follows.
func TestStreamEventsBeyondTheLimitPassUnread(t *testing.T) {
	for _, f := range []format{chatFormat, ollamaFormat, imageFormat} {
		huge := f.piece(strings.Repeat("x", sse.MaxEvent))
		for name, events := range map[string][]string{
			"first":                          append([]string{huge}, f.tail...),
			"later":                          append(f.begun("one "), append([]string{huge}, f.tail...)...),
			"last":                           append(f.begun("one "), huge),
			"with what is not JSON after it": append(f.begun("one "), huge, "{not json"),
		} {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				a, b := scripted.New(t).Always(f.send(0, events...)), scripted.New(t)
				s := routerWith(t, twoInOrder(a, b, "resume on"))
				checkWhole(t, ask(t, s, f.path, f.request), f.wire(events...))
				counts(t, "b", b, 0)
				if e := append(lines(s, "attempt failed"), lines(s, "request failed")...); len(e) != 0 {
					t.Errorf("got %v, want no failure", e)
				}
			})
		}
	}
}

// It may have stopped inside an event, so that no error event can follow.
func TestStreamsThatBreakUnreadCutTheClient(t *testing.T) {
	f := chatFormat
	events := append(f.begun("one "), f.piece(strings.Repeat("x", sse.MaxEvent)), "one more")
	for name, step := range map[string]scripted.Step{"cut": f.cut(events...), "silent": f.stall(events...)} {
		t.Run(name, func(t *testing.T) {
			a, b := scripted.New(t).Always(step), scripted.New(t)
			s := routerWith(t, twoInOrder(a, b, "resume on\nidle_timeout 300ms"))
			g := ask(t, s, f.path, f.request)
			if g.err == nil || g.body != f.wire(events...) {
				t.Errorf("got %d bytes, error %v; want all %d and an end that is none", len(g.body), g.err, len(f.wire(events...)))
			}
			counts(t, "b", b, 0)
			if e := lines(s, "attempt failed"); len(e) != 1 {
				t.Errorf("got %v, want one failure", e)
			}
		})
	}
}

// Whoever goes on has to be comparable.
func TestResumeWithAnEventBeyondTheLimit(t *testing.T) {
	f := chatFormat
	a := scripted.New(t).Always(f.cut(f.begun("one ")...))
	b := scripted.New(t).Always(f.send(0, f.events("one "+strings.Repeat("x", sse.MaxEvent))...))
	s := routerWith(t, twoInOrder(a, b, resumePolicy))
	f.checkBroken(t, ask(t, s, f.path, f.request), f.begun("one "))
}

// llama.cpp's error field is none that clients know.
func TestErrorFieldsReachTheClientAsEvents(t *testing.T) {
	const failure = `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`
	for _, f := range []format{chatFormat, completionsFormat, messagesFormat, responsesFormat} {
		want := "data: " + failure + "\n\n"
		if !f.hasDone() {
			want = "event: error\n" + want
		}
		for name, begun := range map[string][]string{"after content": f.begun("one "), "before": f.head} {
			t.Run(f.name+"/"+name, func(t *testing.T) {
				wire := f.wire(begun...) + "error: " + failure + "\n\n"
				a := scripted.New(t).Always(scripted.Reply(200, http.Header{"Content-Type": {"text/event-stream"}}, wire))
				s := routerWith(t, alone(a, "retries 0"))
				g := ask(t, s, f.path, f.request)
				if want := f.wire(begun...) + want; g.body != want || g.err != nil {
					t.Errorf("got %q, error %v; want %q", g.body, g.err, want)
				}
				if e := lines(s, "attempt failed"); len(e) != 1 || e[0].Fields["error_class"] != "overloaded" {
					t.Errorf("got %v, want one failure of class overloaded", e)
				}
			})
		}
	}
}

// A deployment that pings while it says again what the client has fills nothing.
func TestResumeDropsKeepAlivesWhileItCatchesUp(t *testing.T) {
	f := chatFormat
	again := f.wire(f.begun("on")...) + strings.Repeat(": keep-alive\n\n", 50_000) + f.wire(f.piece("e "), f.piece("two")) +
		": after\n\n" + f.wire(f.tail...)
	a := scripted.New(t).Always(f.cut(f.begun("one ")...))
	b := scripted.New(t).Always(scripted.Reply(200, http.Header{"Content-Type": {"text/event-stream"}}, again))
	s := routerWith(t, twoInOrder(a, b, resumePolicy))
	g := ask(t, s, f.path, f.request)
	f.checkStream(t, g, "one two")
	if n := strings.Count(g.body, "keep-alive"); n != 0 {
		t.Errorf("got %d of the keep-alives that came while catching up, want none", n)
	}
	if !strings.Contains(g.body, ": after\n\n") {
		t.Errorf("got %q, want the comment that came later", g.body)
	}
}
