package sse

import (
	"io"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

func TestErrorEvent(t *testing.T) {
	e := api.Error{Status: 502, Message: "the stream\nbroke", Type: "server_error", Code: "stream_broken"}
	const openAI = `data: {"error":{"message":"the stream\nbroke","type":"server_error","param":null,"code":"stream_broken"}}` + "\n\n"
	for _, tc := range []struct {
		name    string
		dialect api.Dialect
		e       api.Error
		want    string
	}{
		{"chat", api.Chat, e, openAI},
		{"completions", api.Completions, e, openAI},
		{"other", api.Other, e, openAI},
		{
			"messages", api.Messages, e,
			"event: error\n" + `data: {"type":"error","error":{"type":"api_error","message":"the stream\nbroke"}}` + "\n\n",
		},
		{
			"responses", api.Responses, e,
			"event: error\n" + `data: {"type":"error","code":"stream_broken","message":"the stream\nbroke","param":null,"sequence_number":7}` + "\n\n",
		},
		{
			"responses without a code, with a parameter", api.Responses,
			api.Error{Message: "no", Param: "model"},
			"event: error\n" + `data: {"type":"error","code":null,"message":"no","param":"model","sequence_number":7}` + "\n\n",
		},
		{"Ollama chat", api.OllamaChat, e, `{"error":"the stream\nbroke"}` + "\n"},
		{"Ollama generate", api.OllamaGenerate, e, `{"error":"the stream\nbroke"}` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := string(ErrorEvent(tc.dialect, tc.e, 7))
			if got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			r := NewReader(strings.NewReader(got), tc.dialect.NDJSON())
			ev, err := r.Next()
			if err != nil || ev.Partial {
				t.Fatalf("got %v, partial %v, want a whole event", err, ev.Partial)
			}
			if m := Inspect(tc.dialect, ev); m.Kind != Error {
				t.Errorf("read back: got %v, want an error", m.Kind)
			}
			if _, err := r.Next(); err != io.EOF {
				t.Errorf("got %v behind the event, want EOF", err)
			}
		})
	}
}

// What clients skip is made an event that they read; all else stays as it came.
func TestUpstreamError(t *testing.T) {
	const data = `{"error":{"code":500,"message":"no"}}`
	for _, tc := range []struct {
		name     string
		dialect  api.Dialect
		in, want string
	}{
		{"data", api.Chat, "data:" + data + "\r\n\r\n", "data:" + data + "\r\n\r\n"},
		{"named error", api.Messages, "id: 1\nevent: error\ndata: " + data + "\n\n", "id: 1\nevent: error\ndata: " + data + "\n\n"},
		{"line", api.OllamaChat, `{"error":"no"}` + "\n", `{"error":"no"}` + "\n"},
		{"error field in chat", api.Chat, "error: " + data + "\n\n", "data: " + data + "\n\n"},
		{"error field in completions", api.Completions, "error:" + data + "\r\n\r\n", "data: " + data + "\n\n"},
		{"error field in an unknown format", api.Other, "error: " + data + "\n\n", "data: " + data + "\n\n"},
		{"error field in messages", api.Messages, "error: " + data + "\n\n", "event: error\ndata: " + data + "\n\n"},
		{"error field in responses", api.Responses, "error: " + data + "\n\n", "event: error\ndata: " + data + "\n\n"},
		{"several fields", api.Chat, "error: {\ndata: }\n\n", "data: {\ndata: }\n\n"},
		{"unfinished", api.Chat, "error: " + data, "data: " + data + "\n\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := NewReader(strings.NewReader(tc.in), tc.dialect.NDJSON())
			ev, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m := Inspect(tc.dialect, ev); m.Kind != Error && !ev.ErrorField {
				t.Errorf("got %v, want an error", m.Kind)
			}
			if got := string(UpstreamError(tc.dialect, ev)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("the next event is an ordinary one", func(t *testing.T) {
		r := NewReader(strings.NewReader("error: {}\n\ndata: {}\n\n"), false)
		for _, want := range []bool{true, false} {
			if ev, err := r.Next(); err != nil || ev.ErrorField != want {
				t.Errorf("got error field %v, %v; want %v", ev.ErrorField, err, want)
			}
		}
	})
}

func TestDoneEvent(t *testing.T) {
	for d := api.Other; d <= api.OllamaGenerate; d++ {
		got, want := string(DoneEvent(d)), ""
		if d == api.Chat || d == api.Completions {
			want = "data: [DONE]\n\n"
		}
		if got != want {
			t.Errorf("dialect %d: got %q, want %q", d, got, want)
		}
	}
}
