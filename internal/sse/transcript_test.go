package sse

import (
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

func TestTranscriptResumable(t *testing.T) {
	for _, tc := range []struct {
		name    string
		dialect api.Dialect
		stream  string
		want    bool
	}{
		{"nothing yet", api.Chat, "", true},
		{"text", api.Chat, role + say("Hello"), true},
		{"reasoning and text", api.Chat, think("a") + say("b") + ping, true},
		{"refusal", api.Chat, "data: " + delta(`{"refusal":"no"}`) + "\n\n", true},
		{"usage in every chunk", api.Chat, say("a") + usage, true},
		{"event that is not JSON", api.Chat, say("a") + "data: oops\n\n", true},
		{"finished", api.Chat, say("a") + stop, false},
		{"done", api.Chat, say("a") + done, false},
		{"error", api.Chat, say("a") + "event: error\ndata: {}\n\n", false},
		{"tool call", api.Chat, tool, false},
		{"text behind a tool call", api.Chat, tool + say("a"), false},
		{"audio", api.Chat, "data: " + delta(`{"audio":{"data":"AAAA"}}`) + "\n\n", false},
		{"content parts", api.Chat, "data: " + delta(`{"content":[{"type":"text"}]}`) + "\n\n", false},
		{"remark on the text", api.Chat, "data: " + delta(`{"content":"a","extra_content":{"google":{"thought":true}}}`) + "\n\n", false},
		{"harmless extra members", api.Chat, "data: " + delta(`{"content":"a","tool_calls":null,"annotations":[],"n":1}`) + "\n\n", true},
		{"second choice", api.Chat, "data: " + chunk(`{"index":1,"delta":{"content":"a"}}`) + "\n\n", false},
		{"log probabilities", api.Chat, "data: " + chunk(`{"index":0,"delta":{"content":"a"},"logprobs":{"content":[]}}`) + "\n\n", false},
		{"half a surrogate pair", api.Chat, say(`a\ud83d`), false},
		{"completions", api.Completions, `data: {"choices":[{"text":"a","index":0}]}` + "\n\n", true},
		{"completions with log probabilities", api.Completions, `data: {"choices":[{"text":"a","logprobs":{"tokens":["a"]}}]}` + "\n\n", false},
		{"messages", api.Messages, msgStart + start(0, "text") + blockDelta(0, "text", "a") + blockEnd(0), true},
		{"messages with a stop reason", api.Messages, msgStart + msgDelta, true},
		{"messages at their stop", api.Messages, msgStart + msgStop, false},
		{"tool use", api.Messages, `data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use"}}` + "\n\n", false},
		{"tool arguments", api.Messages, `data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}` + "\n\n", false},
		{"citation", api.Messages, `data: {"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{}}}` + "\n\n", false},
		{"redacted thinking", api.Messages, `data: {"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}` + "\n\n", false},
		{"Ollama", api.OllamaChat, `{"message":{"content":"a"},"done":false}` + "\n", true},
		{"Ollama done", api.OllamaChat, `{"message":{"content":"a"},"done":true}` + "\n", false},
		{"Ollama tool call", api.OllamaChat, `{"message":{"tool_calls":[{}]},"done":false}` + "\n", false},
		{"responses", api.Responses, "", false},
		{"other", api.Other, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := transcriptOf(t, tc.dialect, tc.stream).Resumable(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestTranscriptBounds(t *testing.T) {
	half := events(t, api.Chat, say(strings.Repeat("x", MaxTranscript/2)))[0]
	one := events(t, api.Chat, say("x"))[0]
	tr := NewTranscript(api.Chat)
	tr.Observe(half)
	tr.Observe(half)
	if !tr.Resumable() {
		t.Error("got not resumable at the largest size")
	}
	tr.Observe(one)
	if tr.Resumable() || tr.text != nil {
		t.Errorf("got resumable %v and %d bytes above the largest size", tr.Resumable(), len(tr.text))
	}

	tr = NewTranscript(api.Chat)
	turns := events(t, api.Chat, think("a")+say("b"))
	for i := range maxSegments {
		tr.Observe(turns[i%2])
	}
	if !tr.Resumable() {
		t.Error("got not resumable at the most segments")
	}
	tr.Observe(turns[maxSegments%2])
	if tr.Resumable() {
		t.Error("got resumable above the most segments")
	}
}

func TestTranscriptJoinsText(t *testing.T) {
	tr := transcriptOf(t, api.Chat, role+think("a")+think(`\u0062`)+say("c")+ping+say("d"))
	if got, want := string(tr.text), "abcd"; got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
	if got, want := len(tr.segments), 2; got != want {
		t.Errorf("got %d segments, want %d", got, want)
	}
}

func TestTranscriptKeepsBlocksApart(t *testing.T) {
	tr := transcriptOf(t, api.Messages, blockDelta(0, "text", "a")+blockDelta(1, "text", "b"))
	if _, differs := replay(t, tr, blockDelta(0, "text", "ab")); !differs {
		t.Error("got the text of two blocks taken for that of one")
	}
}

// An event with more texts than any server sends is given up, not cut short.
func TestTranscriptOfTooManyItems(t *testing.T) {
	choice := `{"index":0,"delta":{"content":"a"}}`
	tr := transcriptOf(t, api.Chat, "data: "+chunk(strings.Repeat(choice+",", 6)+choice)+"\n\n")
	if tr.Resumable() {
		t.Error("got resumable, want not")
	}
}
