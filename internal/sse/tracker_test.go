package sse

import (
	"fmt"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

func observe(d api.Dialect, datas ...string) Tracker {
	t := NewTracker(d)
	for _, data := range datas {
		t.Observe(Inspect(d, Event{Data: []byte(data)}))
	}
	return t
}

func TestTracker(t *testing.T) {
	text := func(index int) string { return chunk(fmt.Sprintf(`{"index":%d,"delta":{"content":"a"}}`, index)) }
	stop := func(index int) string {
		return chunk(fmt.Sprintf(`{"index":%d,"delta":{},"finish_reason":"stop"}`, index))
	}
	for _, tc := range []struct {
		name                    string
		dialect                 api.Dialect
		datas                   []string
		started, complete, done bool
	}{
		{name: "nothing"},
		{name: "role alone", dialect: api.Chat, datas: []string{delta(`{"role":"assistant"}`)}},
		{name: "text alone", dialect: api.Chat, datas: []string{text(0)}, started: true},
		{name: "finished", dialect: api.Chat, datas: []string{text(0), stop(0)}, started: true, complete: true},
		{
			name: "finished and done", dialect: api.Chat, datas: []string{text(0), stop(0), "[DONE]"},
			started: true, complete: true, done: true,
		},
		{
			name: "done without a finish reason", dialect: api.Chat, datas: []string{text(0), "[DONE]"},
			started: true, complete: true, done: true,
		},
		{name: "empty answer", dialect: api.Chat, datas: []string{stop(0)}, complete: true},
		{name: "one of two choices", dialect: api.Chat, datas: []string{text(0), text(1), stop(0)}, started: true},
		{
			name: "both choices", dialect: api.Chat, datas: []string{text(0), text(1), stop(1), stop(0)},
			started: true, complete: true,
		},
		{
			name: "a choice that finishes twice is one", dialect: api.Chat,
			datas: []string{text(0), text(1), stop(1), stop(1)}, started: true,
		},
		{
			name: "choices in one chunk", dialect: api.Chat, started: true, complete: true,
			datas: []string{chunk(`{"index":0,"delta":{"content":"a"},"finish_reason":"stop"},{"index":70,"delta":{},"finish_reason":"stop"}`)},
		},
		{name: "a far choice is missing", dialect: api.Chat, datas: []string{text(70), text(6), stop(6)}, started: true},
		{name: "choices out of range", dialect: api.Chat, datas: []string{text(5000), stop(-3)}, started: true, complete: true},
		{
			name: "failed", dialect: api.Chat, started: true,
			datas: []string{text(0), chunk(`{"index":0,"delta":{},"finish_reason":"error"}`)},
		},
		{
			name: "error beside a finish reason", dialect: api.Chat,
			datas: []string{`{"error":{"code":1},"choices":[{"index":0,"finish_reason":"stop"}]}`},
		},
		{
			name: "messages before their stop", dialect: api.Messages,
			datas: []string{`{"type":"message_start"}`, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`},
		},
		{name: "messages", dialect: api.Messages, datas: []string{`{"type":"message_stop"}`}, complete: true},
		{name: "responses", dialect: api.Responses, datas: []string{`{"type":"response.completed"}`}, complete: true},
		{name: "Ollama", dialect: api.OllamaGenerate, datas: []string{`{"response":"a","done":true}`}, started: true, complete: true},
		{name: "other, nothing", dialect: api.Other, datas: []string{""}},
		{name: "other", dialect: api.Other, datas: []string{"{}"}, started: true, complete: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := observe(tc.dialect, tc.datas...)
			if got := tr.Started(); got != tc.started {
				t.Errorf("started: got %v, want %v", got, tc.started)
			}
			if got := tr.Complete(); got != tc.complete {
				t.Errorf("complete: got %v, want %v", got, tc.complete)
			}
			if got := tr.Done(); got != tc.done {
				t.Errorf("done: got %v, want %v", got, tc.done)
			}
		})
	}
}

// A stream has ended where its dialect has no further event.
func TestTrackerEnded(t *testing.T) {
	const stopped = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	for _, tc := range []struct {
		name    string
		dialect api.Dialect
		datas   []string
		want    bool
	}{
		{"nothing", api.Chat, nil, false},
		{"chat, finish_reason: usage may follow", api.Chat, []string{stopped}, false},
		{"chat, [DONE]", api.Chat, []string{stopped, "[DONE]"}, true},
		{"completions, finish_reason", api.Completions, []string{`{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}`}, false},
		{"completions, [DONE]", api.Completions, []string{"[DONE]"}, true},
		{"messages, stop reason", api.Messages, []string{`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`}, false},
		{"messages, message_stop", api.Messages, []string{`{"type":"message_stop"}`}, true},
		{"responses, item done", api.Responses, []string{`{"type":"response.output_item.done","item":{}}`}, false},
		{"responses, completed", api.Responses, []string{`{"type":"response.completed","response":{}}`}, true},
		{"responses, incomplete", api.Responses, []string{`{"type":"response.incomplete","response":{}}`}, true},
		{"responses, failed", api.Responses, []string{`{"type":"response.failed","response":{}}`}, false},
		{"Ollama, going on", api.OllamaChat, []string{`{"message":{"content":"a"},"done":false}`}, false},
		{"Ollama, done", api.OllamaChat, []string{`{"message":{"content":"a"},"done":true}`}, true},
		{"unknown, anything", api.Other, []string{`{"done":true}`, "[DONE]"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := observe(tc.dialect, tc.datas...)
			if got := tr.Ended(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTrackerNextSequence(t *testing.T) {
	tr := observe(api.Responses)
	if got := tr.NextSequence(); got != 0 {
		t.Errorf("got %d before the first event, want 0", got)
	}
	tr = observe(api.Responses,
		`{"type":"response.created","sequence_number":0}`,
		`{"sequence_number":1,"type":"response.in_progress"}`,
		`{"type":"response.output_text.delta","delta":"a"}`,
	)
	if got := tr.NextSequence(); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}
