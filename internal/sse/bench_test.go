package sse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

const benchChunk = `{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1741569952,` +
	`"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_44709d6fcb",` +
	`"choices":[{"index":0,"delta":{"content":" Hello there"},"logprobs":null,"finish_reason":null}],"usage":null}`

// BenchmarkReaderNext reads chat chunks of about 300 bytes. One operation is
// one event.
func BenchmarkReaderNext(b *testing.B) {
	stream := strings.Repeat("data: "+benchChunk+"\n\n", 1000)
	for _, size := range []int{1, 64, 1400, 1 << 20} {
		b.Run(fmt.Sprintf("read=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(stream) / 1000))
			r := NewReader(&endless{text: stream, size: size}, false)
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// endless gives text over and over in pieces of a size.
type endless struct {
	text     string
	at, size int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), e.size)], e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// BenchmarkInspect tells what an ordinary event of each dialect means.
func BenchmarkInspect(b *testing.B) {
	for name, bc := range map[string]struct {
		dialect api.Dialect
		data    string
	}{
		"chat": {api.Chat, benchChunk},
		"messages": {api.Messages, `{"type":"content_block_delta","index":0,` +
			`"delta":{"type":"text_delta","text":"Hello there"}}`},
		"responses": {api.Responses, `{"type":"response.output_text.delta","sequence_number":17,` +
			`"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c5","output_index":0,"content_index":0,` +
			`"delta":"Hello there","logprobs":[],"obfuscation":"aB3dE6"}`},
		"ollama": {api.OllamaChat, `{"model":"llama3.2","created_at":"2025-08-04T08:52:19.385406455-07:00",` +
			`"message":{"role":"assistant","content":"Hello there"},"done":false}`},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bc.data)))
			ev := Event{Data: []byte(bc.data)}
			for b.Loop() {
				if m := Inspect(bc.dialect, ev); m.Kind != Content {
					b.Fatalf("got %v, want content", m.Kind)
				}
			}
		})
	}
}

// BenchmarkValid is the share of the validator in what Inspect takes.
func BenchmarkValid(b *testing.B) {
	b.SetBytes(int64(len(benchChunk)))
	data := []byte(benchChunk)
	for b.Loop() {
		if !jsonwalk.Valid(data) {
			b.Fatal("not valid")
		}
	}
}

// BenchmarkTranscript takes note of chat chunks as they are delivered.
func BenchmarkTranscript(b *testing.B) {
	b.ReportAllocs()
	ev := Event{Data: []byte(benchChunk)}
	t := NewTranscript(api.Chat)
	for b.Loop() {
		if len(t.text) > MaxTranscript/2 {
			t.text, t.segments = t.text[:0], t.segments[:0]
		}
		t.Observe(ev)
	}
}
