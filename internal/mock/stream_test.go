package mock

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"
)

func TestChatStream(t *testing.T) {
	tr := &Transport{Response: "Hi there you"}
	resp, body := send(t, tr, "POST", "/v1/chat/completions", `{"model":"m1","stream":true}`)
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Errorf("got Content-Type %q, want text/event-stream", got)
	}
	if resp.ContentLength != -1 || resp.Header.Get("Content-Length") != "" {
		t.Errorf("got length %d and header %q, want none", resp.ContentLength, resp.Header.Get("Content-Length"))
	}
	events := payloads(t, body)
	want := []string{`{"role":"assistant","content":""}`, `{"content":"Hi"}`, `{"content":" there"}`, `{"content":" you"}`, `{}`, ""}
	if len(events) != len(want) {
		t.Fatalf("got %d events, want %d: %s", len(events), len(want), body)
	}
	for i, e := range events[:5] {
		if got := gjson.Get(e, "choices.0.delta").Raw; got != want[i] {
			t.Errorf("event %d: got delta %s, want %s", i, got, want[i])
		}
		if got := gjson.Get(e, "object").Str + " " + gjson.Get(e, "model").Str; got != "chat.completion.chunk m1" {
			t.Errorf("event %d: got object and model %q", i, got)
		}
		finish := gjson.Get(e, "choices.0.finish_reason").String()
		if wantFinish := map[bool]string{true: "stop"}[i == 4]; finish != wantFinish {
			t.Errorf("event %d: got finish_reason %q, want %q", i, finish, wantFinish)
		}
	}
	if events[5] != "[DONE]" {
		t.Errorf("got last event %q, want [DONE]", events[5])
	}
}

func TestUsageInStream(t *testing.T) {
	for _, path := range []string{"/v1/chat/completions", "/v1/completions"} {
		for _, asked := range []bool{true, false} {
			body := `{"model":"m","stream":true,"prompt":"one two"}`
			if asked {
				body = `{"model":"m","stream":true,"prompt":"one two","stream_options":{"include_usage":true}}`
			}
			_, got := send(t, &Transport{Response: "a b c"}, "POST", path, body)
			events := payloads(t, got)
			last := events[len(events)-2]
			if has := gjson.Get(last, "usage").Exists(); has != asked {
				t.Errorf("%s: asked for usage %v, got it %v in %s", path, asked, has, last)
			}
			if asked {
				if usage, n := gjson.Get(last, "usage").Raw, gjson.Get(last, "choices.#").Int(); n != 0 ||
					usage != `{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}` {
					t.Errorf("%s: got %d choices, usage %s", path, n, usage)
				}
			}
		}
	}
}

func TestCompletionStream(t *testing.T) {
	_, body := send(t, &Transport{Response: "Hi there"}, "POST", "/v1/completions", `{"model":"m1","stream":true}`)
	events := payloads(t, body)
	if len(events) != 4 || events[3] != "[DONE]" {
		t.Fatalf("got %d events: %s", len(events), body)
	}
	if got := gjson.Get(events[0], "choices.0.text").Str + gjson.Get(events[1], "choices.0.text").Str; got != "Hi there" {
		t.Errorf("got text %q, want %q", got, "Hi there")
	}
	if got := gjson.Get(events[2], "choices.0.finish_reason").Str; got != "stop" {
		t.Errorf("got finish_reason %q, want stop", got)
	}
}

func TestNamedEventStreams(t *testing.T) {
	tests := []struct {
		name, path, delta string
		want              []string
		usage             string // gjson path in the event that ends the account
	}{
		{"responses", "/v1/responses", "delta", []string{
			"response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
			"response.output_text.delta", "response.output_text.delta",
			"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
		}, "response.usage.output_tokens"},
		{"messages", "/v1/messages", "delta.text", []string{
			"message_start", "content_block_start", "ping", "content_block_delta", "content_block_delta",
			"content_block_stop", "message_delta", "message_stop",
		}, "usage.output_tokens"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, body := send(t, &Transport{Response: "Hi there"}, "POST", tt.path, `{"model":"m1","stream":true}`)
			var names []string
			var text strings.Builder
			var output int64
			for i, e := range payloads(t, body) {
				names = append(names, gjson.Get(e, "type").Str)
				if strings.HasSuffix(names[i], "delta") {
					text.WriteString(gjson.Get(e, tt.delta).Str)
				}
				if n := gjson.Get(e, tt.usage); n.Exists() {
					output = n.Int()
				}
				if seq := gjson.Get(e, "sequence_number"); tt.name == "responses" && seq.Int() != int64(i) {
					t.Errorf("event %d: got sequence_number %s", i, seq.Raw)
				}
				if !strings.Contains(body, "event: "+names[i]+"\ndata: "+e+"\n\n") {
					t.Errorf("event %d is not named by its type: %s", i, e)
				}
			}
			if !slices.Equal(names, tt.want) {
				t.Errorf("got events %v, want %v", names, tt.want)
			}
			if text.String() != "Hi there" {
				t.Errorf("got text %q, want %q", text.String(), "Hi there")
			}
			if output != 2 {
				t.Errorf("got %d output tokens, want 2", output)
			}
		})
	}
}

func TestOllamaStreamsUnlessToldNotTo(t *testing.T) {
	for path, key := range map[string]string{"/api/chat": "message.content", "/api/generate": "response"} {
		resp, body := send(t, &Transport{Response: "Hi there"}, "POST", path, `{"model":"m1"}`)
		if got := resp.Header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("%s: got Content-Type %q, want application/x-ndjson", path, got)
		}
		lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("%s: got %d lines, want 3: %s", path, len(lines), body)
		}
		var text string
		for i, line := range lines {
			text += gjson.Get(line, key).Str
			if done := gjson.Get(line, "done").Bool(); done != (i == 2) {
				t.Errorf("%s: line %d has done %v", path, i, done)
			}
		}
		if text != "Hi there" {
			t.Errorf("%s: got text %q, want %q", path, text, "Hi there")
		}
	}
}

func TestDelays(t *testing.T) {
	tr := &Transport{
		Response: "a b c", Latency: caddy.Duration(time.Second),
		FirstToken: caddy.Duration(10 * time.Second), Interval: caddy.Duration(100 * time.Second),
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		resp := open(t, tr, newRequest(t.Context(), "POST", "/v1/chat/completions", `{"model":"m","stream":true}`))
		if got := time.Since(start); got != time.Second {
			t.Errorf("head came after %v, want 1s", got)
		}
		buf := make([]byte, 4096)
		want := []time.Duration{1, 11, 111, 211, 211, 211} // role, a, b, c, finish, [DONE]
		for i, w := range want {
			if _, err := resp.Body.Read(buf); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			if got := time.Since(start); got != w*time.Second {
				t.Errorf("event %d came after %v, want %v", i, got, w*time.Second)
			}
		}
		if _, err := resp.Body.Read(buf); err != io.EOF {
			t.Errorf("got error %v at the end, want EOF", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		send(t, tr, "POST", "/v1/chat/completions", `{"model":"m"}`)
		if got := time.Since(start); got != time.Second {
			t.Errorf("whole answer took %v, want the latency of 1s alone", got)
		}
		send(t, tr, "GET", "/v1/models", "")
		if got := time.Since(start); got != time.Second {
			t.Errorf("GET took %v, want no delay", got-time.Second)
		}
	})
}

func TestLatencyEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		tr := &Transport{Latency: caddy.Duration(time.Hour)}
		_, err := tr.RoundTrip(newRequest(ctx, "POST", "/v1/chat/completions", `{"model":"m"}`))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got error %v after %v, want the deadline after 1s", err, time.Since(start))
		}
	})
}

// Both tests run in a bubble, which fails if a goroutine stays behind.
func TestStreamEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		tr := &Transport{FirstToken: caddy.Duration(time.Hour)}
		resp := open(t, tr, newRequest(ctx, "POST", "/v1/chat/completions", `{"model":"m","stream":true}`))
		time.AfterFunc(time.Second, cancel)
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v, want %v", err, context.Canceled)
		}
	})
}

func TestStreamEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{FirstToken: caddy.Duration(time.Hour)}
		resp := open(t, tr, newRequest(t.Context(), "POST", "/v1/chat/completions", `{"model":"m","stream":true}`))
		time.AfterFunc(time.Second, func() {
			resp.Body.Close()
			resp.Body.Close() // as often as one likes
		})
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, errClosed) {
			t.Errorf("got error %v, want %v", err, errClosed)
		}
		if _, err := resp.Body.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
			t.Errorf("got error %v on a later read, want %v", err, errClosed)
		}
	})
}

func TestStreamWithoutDelaysStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tr := &Transport{Tokens: ptr(maxTokens)}
	resp := open(t, tr, newRequest(ctx, "POST", "/v1/chat/completions", `{"model":"m","stream":true}`))
	if _, err := resp.Body.Read(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
}

func TestReadOfOneByteAtATime(t *testing.T) {
	newStream := func() io.ReadCloser {
		events := [][]byte{[]byte("one"), []byte("two")}
		return newBody(t.Context(), script{pieces: 2, piece: func(i int) []byte { return events[i] }}, 0, 0)
	}
	var got []byte
	for buf, body := make([]byte, 1), newStream(); ; {
		n, err := body.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			break
		}
	}
	if string(got) != "onetwo" {
		t.Errorf("got %q, want %q", got, "onetwo")
	}
	if n, err := newStream().Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: got %d, %v; want 0, nil", n, err)
	}
}

func TestTokens(t *testing.T) {
	tests := []struct {
		name, text string
		tokens     *int
		want       []string
	}{
		{"words by default", "Hi there  you\nall ", nil, []string{"Hi", " there", "  you", "\nall", " "}},
		{"one word", "Hi", nil, []string{"Hi"}},
		{"one piece", "Hi there you", ptr(1), []string{"Hi there you"}},
		{"as many as words", "Hi there you", ptr(3), []string{"Hi", " there", " you"}},
		{"fewer than words", "a b c d e", ptr(2), []string{"a b", " c d e"}},
		{"more than words", "Hello", ptr(2), []string{"He", "llo"}},
		{"as many as runes", "Grüße", ptr(5), []string{"G", "r", "ü", "ß", "e"}},
		{"more than runes", "a b", ptr(5), []string{"a", " b", " a", " b", " a"}},
		{"more than one rune", "x", ptr(3), []string{"x", " x", " x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := (&Transport{Response: tt.text, Tokens: tt.tokens}).pieces("m")
			if !slices.Equal(got, pieces(tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTokensCountAlikeWithAndWithoutStream(t *testing.T) {
	tr := &Transport{Tokens: ptr(50)}
	_, whole := send(t, tr, "POST", "/v1/chat/completions", `{"model":"m"}`)
	if got := gjson.Get(whole, "usage.completion_tokens").Int(); got != 50 {
		t.Errorf("got %d completion tokens, want 50", got)
	}
	_, stream := send(t, tr, "POST", "/v1/chat/completions", `{"model":"m","stream":true}`)
	events := payloads(t, stream)
	if len(events) != 50+3 {
		t.Errorf("got %d events, want 50 with content and 3 others", len(events))
	}
	var text string
	for _, e := range events {
		text += gjson.Get(e, "choices.0.delta.content").Str
	}
	if want := gjson.Get(whole, "choices.0.message.content").Str; text != want {
		t.Errorf("got streamed text %q, want the whole one's %q", text, want)
	}
}
