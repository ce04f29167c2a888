package wholepath

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// format is how one dialect streams an answer.
type format struct {
	name    string
	path    string
	request string
	// head comes before the content, piece renders a piece of it, and tail is
	// all that comes after it.
	head  []string
	piece func(text string) string
	tail  []string
	// failure is an error event that says overloaded.
	failure string
	// ndjson is a stream of lines.
	ndjson bool
	// text collects the answer from a stream.
	text func(t *testing.T, stream string) string
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func chatChunk(delta, finish string) string {
	return `{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`
}

var (
	chatFormat = format{
		name: "chat", path: chatPath, request: streamed,
		head:    []string{chatChunk(`{"role":"assistant","content":""}`, "null")},
		piece:   func(s string) string { return chatChunk(`{"content":`+quoted(s)+`}`, "null") },
		tail:    []string{chatChunk(`{}`, `"stop"`), "[DONE]"},
		failure: `{"error":{"message":"The engine is overloaded","type":"server_error","code":"overloaded"}}`,
		text:    textAt("choices", "delta", "content"),
	}
	completionsFormat = format{
		name: "completions", path: completionsPath, request: `{"model":"p","stream":true,"prompt":"Hi"}`,
		piece: func(s string) string {
			return `{"id":"c1","choices":[{"index":0,"text":` + quoted(s) + `,"finish_reason":null}]}`
		},
		tail:    []string{`{"id":"c1","choices":[{"index":0,"text":"","finish_reason":"stop"}]}`, "[DONE]"},
		failure: `{"error":{"message":"The engine is overloaded","type":"server_error","code":"overloaded"}}`,
		text:    textAt("choices", "text"),
	}
	responsesFormat = format{
		name: "Responses", path: responsesPath, request: `{"model":"p","stream":true,"input":"Hi"}`,
		head: []string{
			"event: response.created\ndata: " + `{"type":"response.created","sequence_number":0,"response":{"id":"r1","status":"in_progress","output":[]}}`,
			"event: response.output_item.added\ndata: " + `{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"i1","type":"message","content":[]}}`,
		},
		piece: func(s string) string {
			return "event: response.output_text.delta\ndata: " + `{"type":"response.output_text.delta","sequence_number":2,"item_id":"i1","output_index":0,"content_index":0,"delta":` + quoted(s) + `}`
		},
		tail:    []string{"event: response.completed\ndata: " + `{"type":"response.completed","sequence_number":9,"response":{"id":"r1","status":"completed"}}`},
		failure: "event: error\ndata: " + `{"type":"error","code":"server_is_overloaded","message":"Our servers are overloaded","param":null,"sequence_number":2}`,
		text:    textAt("delta"),
	}
	messagesFormat = format{
		name: "Anthropic", path: messagesPath, request: `{"model":"p","stream":true,"max_tokens":99,"messages":[]}`,
		head: []string{
			"event: message_start\ndata: " + `{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","content":[],"usage":{"input_tokens":3}}}`,
			"event: ping\ndata: " + `{"type":"ping"}`,
			"event: content_block_start\ndata: " + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
		},
		piece: func(s string) string {
			return "event: content_block_delta\ndata: " + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":` + quoted(s) + `}}`
		},
		tail: []string{
			"event: content_block_stop\ndata: " + `{"type":"content_block_stop","index":0}`,
			"event: message_delta\ndata: " + `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}`,
			"event: message_stop\ndata: " + `{"type":"message_stop"}`,
		},
		failure: "event: error\ndata: " + `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
		text:    textAt("delta", "text"),
	}
	ollamaFormat = format{
		name: "Ollama", path: ollamaChatPath, request: `{"model":"p","messages":[]}`, ndjson: true,
		piece: func(s string) string {
			return `{"model":"m","message":{"role":"assistant","content":` + quoted(s) + `},"done":false}`
		},
		tail:    []string{`{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}`},
		failure: `{"error":"the server is overloaded"}`,
		text:    textAt("message", "content"),
	}
	formats = []format{chatFormat, completionsFormat, responsesFormat, messagesFormat, ollamaFormat}
)

// hasDone tells whether the dialect closes a stream with [DONE].
func (f format) hasDone() bool { return f.path == chatPath || f.path == completionsPath }

// events are a whole stream of these pieces.
func (f format) events(pieces ...string) []string { return append(f.begun(pieces...), f.tail...) }

// begun is a stream of these pieces without its end.
func (f format) begun(pieces ...string) []string {
	all := append([]string(nil), f.head...)
	for _, p := range pieces {
		all = append(all, f.piece(p))
	}
	return all
}

// send makes a step that sends events and then ends.
func (f format) send(interval time.Duration, events ...string) scripted.Step {
	if f.ndjson {
		return scripted.Lines(interval, events...)
	}
	return scripted.Stream(interval, events...)
}

// cut makes a step that sends events and then breaks the connection.
func (f format) cut(events ...string) scripted.Step {
	return scripted.CutAfter(1<<30, f.send(0, events...))
}

// stall makes a step that sends events and then nothing.
func (f format) stall(events ...string) scripted.Step {
	send := f.send(0, events...)
	return func(w http.ResponseWriter, r *http.Request) {
		send(w, r)
		<-r.Context().Done()
	}
}

// wire is what a stream of events looks like.
func (f format) wire(events ...string) string {
	var b strings.Builder
	for _, e := range events {
		switch {
		case f.ndjson:
			b.WriteString(e + "\n")
		case strings.HasPrefix(e, "event:"), strings.HasPrefix(e, "data:"):
			b.WriteString(e + "\n\n")
		default:
			b.WriteString("data: " + e + "\n\n")
		}
	}
	return b.String()
}

// data are the data of the events of a stream, each of which must be whole.
func data(t *testing.T, stream string) (all []string) {
	t.Helper()
	if stream != "" && !strings.HasSuffix(stream, "\n") {
		t.Errorf("the stream ends inside a line: %q", stream)
	}
	for line := range strings.Lines(stream) {
		line = strings.TrimRight(line, "\r\n")
		line = strings.TrimPrefix(line, "\xef\xbb\xbf")
		if d, ok := strings.CutPrefix(line, "data:"); ok {
			all = append(all, strings.TrimSpace(d))
		} else if strings.HasPrefix(line, "{") {
			all = append(all, line)
		}
	}
	return all
}

// textAt collects the strings at a path, through the first element of arrays.
func textAt(path ...string) func(*testing.T, string) string {
	return func(t *testing.T, stream string) string {
		t.Helper()
		var b strings.Builder
		for _, d := range data(t, stream) {
			if d == "[DONE]" {
				continue
			}
			var v any
			if err := json.Unmarshal([]byte(d), &v); err != nil {
				t.Errorf("event %q is not JSON: %v", d, err)
			}
			for _, name := range path {
				m, _ := v.(map[string]any)
				v = m[name]
				if list, ok := v.([]any); ok && len(list) > 0 {
					v = list[0]
				}
			}
			s, _ := v.(string)
			b.WriteString(s)
		}
		return b.String()
	}
}

// checkStream checks that a client got this text, whole, and its end once.
func (f format) checkStream(t *testing.T, g got, text string) {
	t.Helper()
	if got := f.text(t, g.body); g.status != 200 || g.err != nil || got != text {
		t.Errorf("got status %d, text %q, error %v; want %q in\n%s", g.status, got, g.err, text, g.body)
	}
	want := 0
	if f.hasDone() {
		want = 1
	}
	if n := strings.Count(g.body, "[DONE]"); n != want {
		t.Errorf("got [DONE] %d times, want %d: %s", n, want, g.body)
	}
	last := f.tail[len(f.tail)-1]
	if !strings.HasSuffix(g.body, f.wire(last)) {
		t.Errorf("the stream does not end with %q: %s", last, g.body)
	}
	if strings.Contains(g.body, `"error"`) {
		t.Errorf("the stream has an error: %s", g.body)
	}
}

func TestStreamsPassUntouched(t *testing.T) {
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			events := f.events("one ", "two ", "three")
			a := scripted.New(t).Always(f.send(0, events...))
			s := routerWith(t, alone(a, "resume on"))
			g := ask(t, s, f.path, f.request)
			f.checkStream(t, g, "one two three")
			if want := f.wire(events...); g.body != want {
				t.Errorf("got %q, want %q", g.body, want)
			}
			g.by(t, "a", 1, 0)
		})
	}
	t.Run("CRLF, byte order mark, comments, several data lines", func(t *testing.T) {
		raw := "\xef\xbb\xbf: hello\r\n\r\nid: 1\r\nretry: 100\r\ndata: " + chatFormat.piece("one ") + "\r\n\r\n" +
			"data: {\"choices\":\r\ndata:  [{\"index\":0,\"delta\":{\"content\":\"two\"}}]}\r\n\r\n\r\n: ping\r\n\r\n" +
			"data:" + chatFormat.tail[0] + "\n\ndata: [DONE]\r\n\r\n"
		a := scripted.New(t).Always(scripted.Reply(200, http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}, raw))
		s := routerWith(t, alone(a, "resume on"))
		if g := ask(t, s, chatPath, streamed); g.body != raw || g.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
			t.Errorf("got %q, want %q", g.body, raw)
		}
	})
}

// The client sees each event when it comes, not when the next one does.
func TestStreamsAreFlushedEventByEvent(t *testing.T) {
	const interval = 150 * time.Millisecond
	for _, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			step := f.send(interval, f.events("one ", "two ", "three")[len(f.head):]...)
			a := scripted.New(t).Always(step)
			s := routerWith(t, alone(a, ""))
			resp, err := s.Client().Post(s.URL(f.path), "application/json", strings.NewReader(f.request))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var at []time.Time
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				if strings.Contains(lines.Text(), "{") {
					at = append(at, time.Now())
				}
			}
			if len(at) < 3 {
				t.Fatalf("got %d events, want at least 3", len(at))
			}
			for i := 1; i < 3; i++ {
				if gap := at[i].Sub(at[i-1]); gap < interval/3 || gap > 10*interval {
					t.Errorf("got event %d after %v, want about %v", i, gap, interval)
				}
			}
		})
	}
}

// Before the first content nothing is the client's, not even the status.
func TestTheHeadIsHeldUntilContent(t *testing.T) {
	for _, f := range formats {
		if len(f.head) == 0 {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			release := make(chan struct{})
			a := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
				f.send(0, f.head...)(w, r)
				<-release
				_, _ = io.WriteString(w, f.wire(f.events("text")[len(f.head):]...))
			})
			s := routerWith(t, alone(a, ""))
			answered := make(chan got, 1)
			go func() {
				resp, err := s.Client().Post(s.URL(f.path), "application/json", strings.NewReader(f.request))
				if err != nil {
					answered <- got{err: err}
					return
				}
				answered <- got{status: resp.StatusCode} // the head is here
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}()
			a.WaitCount(t, 1)
			select {
			case g := <-answered:
				t.Errorf("got status %d, error %v before any content", g.status, g.err)
				close(release)
				return
			case <-time.After(200 * time.Millisecond):
			}
			close(release)
			if g := <-answered; g.status != 200 || g.err != nil {
				t.Errorf("got %d, %v; want 200", g.status, g.err)
			}
			a.WaitIdle(t)
		})
	}
}
