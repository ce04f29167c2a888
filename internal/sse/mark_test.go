package sse

import (
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// inspectCase is an event and what it means.
type inspectCase struct {
	name  string
	data  string
	named string // the name of the event
	kind  Kind
	also  string // "finish", "done"
}

// chunk is a chat chunk with the given choices.
func chunk(choices string) string {
	return `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1741569952,"model":"gpt-4o",` +
		`"system_fingerprint":null,"choices":[` + choices + `],"usage":null}`
}

func delta(delta string) string {
	return chunk(`{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":null}`)
}

var inspectCases = map[api.Dialect][]inspectCase{
	api.Chat: {
		{name: "comment", data: "", kind: KeepAlive},
		{name: "blank data", data: " \t", kind: KeepAlive},
		{name: "ping event", data: "{}", named: "ping", kind: KeepAlive},
		{name: "role", data: delta(`{"role":"assistant","content":"","refusal":null}`), kind: Lifecycle},
		{name: "null content", data: delta(`{"role":"assistant","content":null,"tool_calls":[]}`), kind: Lifecycle},
		{name: "empty delta", data: delta(`{}`), kind: Lifecycle},
		{name: "null delta", data: delta(`null`), kind: Lifecycle},
		{name: "usage", data: `{"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`, kind: Lifecycle},
		{
			name: "prompt filter results of Azure",
			data: `{"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false}}}]}`,
			kind: Lifecycle,
		},
		{name: "text", data: delta(`{"content":"Hi"}`), kind: Content},
		{name: "white space is text", data: delta(`{"content":"\n"}`), kind: Content},
		{name: "text after other members", data: `{"choices":[{"delta":{"role":"a","x":[{"content":""}],"content":"b"}}]}`, kind: Content},
		{name: "text in pretty print", data: "{\n  \"choices\" : [ { \"delta\" : { \"content\" : \"a\" } } ]\n}", kind: Content},
		{name: "content parts", data: delta(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]}]}`), kind: Content},
		{name: "no content parts", data: delta(`{"content":[ ]}`), kind: Lifecycle},
		{name: "reasoning_content", data: delta(`{"content":null,"reasoning_content":"Let"}`), kind: Content},
		{name: "reasoning", data: delta(`{"content":"","reasoning":"Let"}`), kind: Content},
		{name: "reasoning_details", data: delta(`{"content":"","reasoning_details":[{"type":"reasoning.encrypted","data":"x"}]}`), kind: Content},
		{name: "refusal", data: delta(`{"refusal":"I cannot"}`), kind: Content},
		{name: "audio", data: delta(`{"audio":{"id":"audio_1","data":"AAAA"}}`), kind: Content},
		{
			name: "tool call", kind: Content,
			data: delta(`{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]}`),
		},
		{name: "function call", data: delta(`{"function_call":{"arguments":"{"}}`), kind: Content},
		{name: "message in place of a delta", data: `{"choices":[{"index":0,"message":{"content":"Hi"}}]}`, kind: Content},
		{name: "unknown member of the delta", data: delta(`{"annotations":[{"type":"url_citation"}]}`), kind: Lifecycle},
		{name: "finish", data: chunk(`{"index":0,"delta":{},"finish_reason":"stop"}`), kind: Lifecycle, also: "finish"},
		{name: "finish with text", data: chunk(`{"finish_reason":"length","index":0,"delta":{"content":"Hi"}}`), kind: Content, also: "finish"},
		{name: "empty finish reason", data: chunk(`{"index":0,"delta":{"content":"Hi"},"finish_reason":""}`), kind: Content},
		{name: "done", data: "[DONE]", kind: End, also: "done"},
		{name: "done with white space", data: " [DONE] ", kind: End, also: "done"},
		{name: "error object", data: `{"error":{"message":"The server had an error","type":"server_error"}}`, kind: Error},
		{name: "error text", data: `{"error":"overloaded"}`, kind: Error},
		{name: "null error", data: `{"error":null,"choices":[{"delta":{"content":"Hi"}}]}`, kind: Content},
		{name: "empty error", data: `{"error":{},"choices":[{"delta":{"content":"Hi"}}]}`, kind: Content},
		{name: "error event", data: "{\"error\":{\"message\":\"Tool call validation failed\"}}", named: "error", kind: Error},
		{name: "error event that is not JSON", data: "upstream connect error", named: "error", kind: Error},
		{name: "flat error object", data: `{"object":"error","message":"too long","code":400}`, kind: Error},
		{name: "error in an array", data: `[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]`, kind: Error},
		{
			name: "finish reason error", kind: Error,
			data: chunk(`{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":"error"}`),
		},
		{name: "error in a choice", data: chunk(`{"index":0,"delta":{"content":"a"},"finish_reason":"stop","error":{"code":502}}`), kind: Error},
		{name: "text that speaks of errors", data: delta(`{"content":"{\"error\":{}} \"finish_reason\":\"stop\""}`), kind: Content},
		{name: "number", data: "7", kind: Lifecycle},
		{name: "choices of another type", data: `{"choices":{"delta":{"content":"a"}}}`, kind: Lifecycle},
		{name: "choice of another type", data: `{"choices":[null,1,"a",[]]}`, kind: Lifecycle},
		{name: "cut JSON", data: `{"choices":[{"delta":{"content":"Hi`, kind: Invalid},
		{name: "two values", data: `{} {}`, kind: Invalid},
		{name: "HTML", data: "<html>502 Bad Gateway</html>", kind: Invalid},
		{name: "deep nesting", data: strings.Repeat("[", 5000) + strings.Repeat("]", 5000), kind: Invalid},
	},
	api.Completions: {
		{name: "text", data: `{"id":"cmpl-1","object":"text_completion","choices":[{"text":"Hi","index":0,"logprobs":null,"finish_reason":null}]}`, kind: Content},
		{name: "empty text", data: `{"choices":[{"text":"","index":0,"finish_reason":null}]}`, kind: Lifecycle},
		{name: "finish", data: `{"choices":[{"text":"","index":0,"finish_reason":"length"}]}`, kind: Lifecycle, also: "finish"},
		{name: "done", data: "[DONE]", kind: End, also: "done"},
	},
	api.Messages: {
		{name: "ping", data: "{\"type\": \"ping\"}", named: "ping", kind: KeepAlive},
		{name: "ping without a name", data: `{"type": "ping"}`, kind: KeepAlive},
		{
			name: "message_start", kind: Lifecycle,
			data: "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\"," +
				"\"content\":[],\"model\":\"claude\",\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}", named: "message_start",
		},
		{name: "start of text", data: `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, kind: Lifecycle},
		{name: "start of thinking", data: `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`, kind: Lifecycle},
		{name: "start with text", data: `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}`, kind: Content},
		{name: "start of a tool call", data: `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`, kind: Content},
		{name: "start of redacted thinking", data: `{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"Em"}}`, kind: Content},
		{name: "text", data: `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`, kind: Content},
		{name: "type behind the rest", data: `{"delta":{"text":"Hello","type":"text_delta"},"index":0,"type":"content_block_delta"}`, kind: Content},
		{name: "type in the name alone", data: "{\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}", named: "content_block_delta", kind: Content},
		{name: "empty text", data: `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}`, kind: Lifecycle},
		{name: "thinking", data: `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let"}}`, kind: Content},
		{name: "signature", data: `{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}`, kind: Content},
		{name: "tool arguments", data: `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"lo"}}`, kind: Content},
		{name: "citation", data: `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"cited_text":"a"}}}`, kind: Content},
		{name: "stop of a block", data: `{"type":"content_block_stop","index":0}`, kind: Lifecycle},
		{name: "message_delta", data: `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}`, kind: Lifecycle},
		{name: "message_stop", data: "{\"type\":\"message_stop\"}", named: "message_stop", kind: End, also: "finish"},
		{name: "unknown event", data: `{"type":"content_block_news","index":0}`, kind: Lifecycle},
		{name: "error", data: "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", named: "error", kind: Error},
		{name: "error without a name", data: `{"type":"error","error":{"details":null,"type":"overloaded_error","message":"Overloaded"}}`, kind: Error},
		{name: "error without a type", data: `{"error":{"message":"no"}}`, kind: Error},
		{name: "not JSON", data: "oops", named: "content_block_delta", kind: Invalid},
		{name: "delta of another type", data: `{"type":"content_block_delta","index":"x","delta":7}`, kind: Lifecycle},
	},
	api.Responses: {
		{name: "created", data: `{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","error":null,"output":[]}}`, kind: Lifecycle},
		{name: "in progress", data: `{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1"}}`, kind: Lifecycle},
		{name: "queued", data: `{"type":"response.queued","sequence_number":1,"response":{"id":"resp_1"}}`, kind: Lifecycle},
		{name: "item added", data: `{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","content":[]}}`, kind: Lifecycle},
		{name: "part added", data: `{"type":"response.content_part.added","item_id":"msg_1","part":{"type":"output_text","text":""}}`, kind: Lifecycle},
		{name: "text", data: `{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"delta":"Hi"}`, kind: Content},
		{name: "type in the name alone", data: "{\"delta\":\"Hi\"}", named: "response.output_text.delta", kind: Content},
		{name: "empty text", data: `{"type":"response.output_text.delta","delta":""}`, kind: Lifecycle},
		{name: "reasoning", data: `{"type":"response.reasoning_summary_text.delta","delta":"Let"}`, kind: Content},
		{name: "refusal", data: `{"type":"response.refusal.delta","delta":"No"}`, kind: Content},
		{name: "arguments", data: `{"type":"response.function_call_arguments.delta","delta":"{\""}`, kind: Content},
		{name: "audio", data: `{"type":"response.audio.delta","delta":"AAAA"}`, kind: Content},
		{name: "partial image", data: `{"type":"response.image_generation_call.partial_image","partial_image_b64":"AAAA"}`, kind: Content},
		{name: "whole text", data: `{"type":"response.output_text.done","text":"Hi"}`, kind: Content},
		{name: "no text", data: `{"type":"response.output_text.done","text":""}`, kind: Lifecycle},
		{name: "keepalive", data: `{"type":"keepalive","sequence_number":3}`, kind: KeepAlive},
		{name: "completed", data: `{"type":"response.completed","response":{"status":"completed","error":null}}`, kind: End, also: "finish"},
		{name: "incomplete", data: `{"type":"response.incomplete","response":{"status":"incomplete"}}`, kind: End, also: "finish"},
		{name: "failed", data: `{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}`, kind: Error},
		{name: "error", data: `{"type":"error","code":"ERR_SOMETHING","message":"Something went wrong","param":null,"sequence_number":1}`, kind: Error},
		{name: "nested error", data: `{"type":"error","error":{"type":"tokens","code":"rate_limit_exceeded"},"sequence_number":2}`, kind: Error},
	},
	api.OllamaChat: {
		{name: "text", data: `{"model":"llama3.2","message":{"role":"assistant","content":"The"},"done":false}`, kind: Content},
		{name: "thinking", data: `{"message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}`, kind: Content},
		{name: "tool call", data: `{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}`, kind: Content},
		{name: "nothing", data: `{"message":{"role":"assistant","content":""},"done":false}`, kind: Lifecycle},
		{name: "blank line", data: "", kind: KeepAlive},
		{name: "done", data: `{"message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"eval_count":290}`, kind: End, also: "finish"},
		{name: "done with text", data: `{"message":{"role":"assistant","content":"."},"done":true}`, kind: Content, also: "finish"},
		{name: "error", data: `{"error":"model requires more system memory"}`, kind: Error},
		{name: "error and done", data: `{"error":"an error was encountered","done":true}`, kind: Error},
		{name: "not JSON", data: `{"message":`, kind: Invalid},
	},
	api.OllamaGenerate: {
		{name: "text", data: `{"model":"llama3.2","response":"The","done":false}`, kind: Content},
		{name: "thinking", data: `{"response":"","thinking":"Hm","done":false}`, kind: Content},
		{name: "done", data: `{"response":"","done":true,"context":[1,2,3]}`, kind: End, also: "finish"},
	},
	api.Other: {
		{name: "any JSON", data: `{"type":"speech.audio.delta","audio":"AAAA"}`, kind: Content},
		{name: "any JSON value", data: `"Hi"`, kind: Content},
		{name: "comment", data: "", kind: KeepAlive},
		{name: "ping", data: `{"type":"ping"}`, kind: KeepAlive},
		{name: "error", data: `{"error":{"message":"no"}}`, kind: Error},
		{name: "error type", data: `{"type":"error","message":"no"}`, kind: Error},
		{name: "no error", data: `{"error":null,"n":1}`, kind: Content},
		{name: "done", data: "[DONE]", kind: End, also: "done"},
		{name: "not JSON", data: "oops", kind: Content},
	},
}

func (tc inspectCase) event() Event {
	return Event{Name: []byte(tc.named), Data: []byte(tc.data)}
}

var dialectNames = map[api.Dialect]string{
	api.Other: "other", api.Chat: "chat", api.Completions: "completions", api.Responses: "responses",
	api.Messages: "messages", api.OllamaChat: "Ollama chat", api.OllamaGenerate: "Ollama generate",
}

func TestInspect(t *testing.T) {
	for d, cases := range inspectCases {
		for _, tc := range cases {
			t.Run(dialectNames[d]+"/"+tc.name, func(t *testing.T) {
				got := Inspect(d, tc.event())
				if got.Kind != tc.kind {
					t.Errorf("kind: got %v, want %v", got.Kind, tc.kind)
				}
				if want := tc.also == "finish"; got.Finish != want {
					t.Errorf("finish: got %v, want %v", got.Finish, want)
				}
				if want := tc.also == "done"; got.Done != want {
					t.Errorf("done: got %v, want %v", got.Done, want)
				}
			})
		}
	}
}

func TestInspectAllocatesNothing(t *testing.T) {
	for d, cases := range inspectCases {
		for _, tc := range cases {
			ev := tc.event()
			if got := testing.AllocsPerRun(5, func() { Inspect(d, ev) }); got != 0 {
				t.Errorf("%s: got %v allocations, want 0", tc.name, got)
			}
		}
	}
}

func TestKindString(t *testing.T) {
	if got := Invalid.String(); got != "invalid" {
		t.Errorf("got %q, want invalid", got)
	}
	if got := Kind(99).String(); got != "unknown" {
		t.Errorf("got %q, want unknown", got)
	}
}

func FuzzInspect(f *testing.F) {
	for d, cases := range inspectCases {
		for _, tc := range cases {
			ev := tc.event()
			f.Add(byte(d), ev.Name, ev.Data)
		}
	}
	f.Fuzz(func(t *testing.T, dialect byte, name, data []byte) {
		d := api.Dialect(dialect % 7)
		ev := Event{Raw: data, Name: name, Data: data}
		got := Inspect(d, ev)
		if int(got.Kind) >= len(kindNames) {
			t.Fatalf("got kind %d", got.Kind)
		}
		if got.Kind == Error && got.Finish {
			t.Fatal("got an error that completes the answer")
		}
		fs := examine(d, ev, make([]item, maxItems))
		for _, it := range fs.items {
			if it.part.isText() && !(0 <= it.from && it.from < it.to && it.to <= len(data)) {
				t.Fatalf("got a text from %d to %d of %d bytes", it.from, it.to, len(data))
			}
		}
	})
}
