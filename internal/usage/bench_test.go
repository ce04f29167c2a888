package usage

import (
	"strings"
	"testing"
)

const chatUsage = `{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
	`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`

// BenchmarkRead reads the usage of a chat completion.
func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	object := []byte(chatUsage)
	for b.Loop() {
		var a Account
		a.Read(object)
		if u, _ := a.Usage(); u.Input != 19 {
			b.Fatalf("got %+v", u)
		}
	}
}

// BenchmarkReadAnswer reads answers that are held: chats with the usage at the
// end, as usual, and embeddings with it in front, which have to be walked.
func BenchmarkReadAnswer(b *testing.B) {
	for name, answer := range map[string]string{
		"chat/1K":         `{"id":"1","choices":[{"message":{"content":"` + strings.Repeat("word ", 200) + `"}}],"usage":` + chatUsage + `}`,
		"chat/512K":       `{"id":"1","choices":[{"message":{"content":"` + strings.Repeat("word ", 100_000) + `"}}],"usage":` + chatUsage + `}`,
		"embeddings/512K": `{"usage":` + chatUsage + `,"data":[` + strings.Repeat("-0.0012345,", 47_000) + `0]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			body := []byte(answer)
			for b.Loop() {
				var a Account
				a.ReadAnswer(body)
				if u, _ := a.Usage(); u.Input != 19 {
					b.Fatalf("got %+v", u)
				}
			}
		})
	}
}

// Whatever passes may be read without leaving anything behind.
func TestReadingAllocatesNothing(t *testing.T) {
	object, answer := []byte(chatUsage), []byte(`{"choices":[],"usage":`+chatUsage+`}`)
	var a Account
	for name, read := range map[string]func(){
		"an event":  func() { a.Read(object) },
		"an answer": func() { a.ReadAnswer(answer) },
		"the sum":   func() { a.Usage() },
	} {
		if n := testing.AllocsPerRun(100, read); n != 0 {
			t.Errorf("%s: got %v allocations, want none", name, n)
		}
	}
}
