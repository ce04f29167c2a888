package sse

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

func TestInspectFindsTheUsage(t *testing.T) {
	const object = `{"prompt_tokens":3,"completion_tokens":4}`
	const line = `{"message":{"content":""},"done":true,"prompt_eval_count":3,"eval_count":4}`
	for name, tt := range map[string]struct {
		dialect api.Dialect
		data    string
		usage   string
		only    bool
	}{
		"chat, the event for it":        {api.Chat, `{"id":"1","choices":[],"usage":` + object + `}`, object, true},
		"chat, usage first":             {api.Chat, `{"usage":` + object + `,"choices":[ ]}`, object, true},
		"chat, null choices":            {api.Chat, `{"choices":null,"usage":` + object + `}`, object, true},
		"chat, no choices":              {api.Chat, `{"usage":` + object + `}`, object, true},
		"completions":                   {api.Completions, `{"object":"text_completion","choices":[],"usage":` + object + `}`, object, true},
		"chat, with the finish":         {api.Chat, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":` + object + `}`, object, false},
		"chat, with every event":        {api.Chat, `{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":` + object + `}`, object, false},
		"chat, null":                    {api.Chat, chunk(""), "", false},
		"chat, filter results":          {api.Chat, `{"choices":[],"prompt_filter_results":[{}]}`, "", false},
		"chat, empty":                   {api.Chat, `{"choices":[],"usage":{}}`, "", false},
		"chat, nonsense":                {api.Chat, `{"choices":[],"usage":7}`, "7", true},
		"chat, an error":                {api.Chat, `{"choices":[],"usage":` + object + `,"error":{"message":"no"}}`, object, false},
		"chat, deeper down":             {api.Chat, `{"choices":[{"delta":{"content":"a","usage":` + object + `},"usage":1}]}`, "", false},
		"chat, in a text":               {api.Chat, delta(`{"content":"\"usage\":{}"}`), "", false},
		"messages, at the start":        {api.Messages, `{"type":"message_start","message":{"id":"1","content":[],"usage":` + object + `}}`, object, false},
		"messages, at the end":          {api.Messages, `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":` + object + `}`, object, false},
		"messages, null":                {api.Messages, `{"type":"message_start","message":null}`, "", false},
		"Responses, completed":          {api.Responses, `{"type":"response.completed","response":{"output":[{"usage":1}],"usage":` + object + `}}`, object, false},
		"Responses, created":            {api.Responses, `{"type":"response.created","response":{"usage":null,"output":[]}}`, "", false},
		"Responses, failed":             {api.Responses, `{"type":"response.failed","response":{"usage":` + object + `,"error":{"code":"x"}}}`, object, false},
		"Responses, a response of text": {api.Responses, `{"type":"response.completed","response":"x"}`, "", false},
		"Ollama":                        {api.OllamaChat, line, line, false},
		"Ollama, before the end":        {api.OllamaGenerate, `{"response":"a","done":false}`, "", false},
		"another format":                {api.Other, `{"type":"image_generation.completed","usage":` + object + `}`, object, false},
		"not JSON":                      {api.Chat, `{"usage":`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			m := Inspect(tt.dialect, Event{Data: []byte(tt.data)})
			if string(m.Usage) != tt.usage || m.UsageOnly != tt.only {
				t.Errorf("got %q, alone %v; want %q, %v", m.Usage, m.UsageOnly, tt.usage, tt.only)
			}
		})
	}
}

func TestTrackerCountsOutput(t *testing.T) {
	for name, tt := range map[string]struct {
		dialect       api.Dialect
		datas         []string
		events, bytes int64
	}{
		"nothing": {dialect: api.Chat},
		"chat": {
			api.Chat, []string{delta(`{"role":"assistant"}`), delta(`{"content":"Hello"}`), delta(`{"content":" you"}`), chunk(`{"delta":{},"finish_reason":"stop"}`)},
			2, 9,
		},
		"chat, two channels in one event": {api.Chat, []string{delta(`{"content":"ab","reasoning_content":"cde"}`)}, 1, 5},
		"chat, a tool call":               {api.Chat, []string{delta(`{"tool_calls":[{"function":{"arguments":"{\"a"}}]}`)}, 1, 0},
		"chat, audio":                     {api.Chat, []string{delta(`{"audio":{"data":"AAAAAAAAAAAA"}}`)}, 1, 0},
		"completions":                     {api.Completions, []string{`{"choices":[{"text":"Hi","index":0}]}`}, 1, 2},
		"messages": {
			api.Messages, []string{
				`{"type":"message_start","message":{}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`,
				`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}`,
			}, 2, 5,
		},
		"Responses": {
			api.Responses, []string{
				`{"type":"response.output_text.delta","delta":"Hello"}`, `{"type":"response.audio.delta","delta":"AAAA"}`,
				`{"type":"response.output_text.done","text":"Hello"}`,
			}, 3, 5,
		},
		"Ollama": {api.OllamaChat, []string{`{"message":{"content":"Hello"},"done":false}`, `{"message":{"content":""},"done":true}`}, 1, 5},
		"more items than are kept": {
			api.Chat, []string{delta(`{"content":"a","content":"b","content":"c","content":"d","content":"e","content":"f","content":"g"}`)}, 1, 7,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tracker := observe(tt.dialect, tt.datas...)
			if events, bytes := tracker.Output(); events != tt.events || bytes != tt.bytes {
				t.Errorf("got %d events with %d bytes, want %d with %d", events, bytes, tt.events, tt.bytes)
			}
		})
	}
}
