package sse

import (
	"math/bits"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// Kind is what an event means for a router.
type Kind uint8

const (
	// KeepAlive says nothing but that the server is alive: a comment, a ping,
	// an event without data.
	KeepAlive Kind = iota
	// Lifecycle prepares or accounts for content without being any: a role, a
	// message_start, an empty delta, usage. A well-formed event that the
	// dialect does not know is taken for one.
	Lifecycle
	// Content is output of the model: text, reasoning, a tool call, a refusal,
	// audio. Streams of the dialect api.Other have nothing but content.
	Content
	// Error says that the answer failed.
	Error
	// End ends the answer or the stream and carries no content.
	End
	// Invalid is data that is neither JSON nor [DONE] in a dialect of JSON.
	Invalid
)

var kindNames = [...]string{
	KeepAlive: "keep-alive", Lifecycle: "lifecycle", Content: "content",
	Error: "error", End: "end", Invalid: "invalid",
}

func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Mark is what an event means for a router and for the state of its stream.
type Mark struct {
	Kind Kind
	// Finish says that the event completes the answer, in chat and completions
	// one choice of it at least: a finish_reason, message_stop,
	// response.completed or response.incomplete, done:true. It goes with any
	// kind, for the last content may come with it.
	Finish bool
	// Done says that the event is [DONE].
	Done bool
	// Usage is a JSON value that states the usage of the answer so far, nil where
	// none does. It is an object with the members of a usage, in Ollama's formats
	// among others; what it really holds is not asked. It points into the event.
	Usage []byte
	// AnswerID is the id of a response of the Responses API that the event is about, as
	// it is written between its quotes; nil where it has none. It points into the event.
	AnswerID []byte
	// UsageOnly says that a chunk of chat or completions has a usage and no
	// choice: the event that stream_options.include_usage asks for.
	UsageOnly bool

	// text is how many bytes of text the event brings.
	text int
	// next is one above the event's sequence_number, 0 without one.
	next           int64
	seen, finished choices
}

// Inspect tells what an event of a stream in dialect d means. An error is found
// by its structure alone; which one it is, is not asked. A false or empty error
// field is none.
func Inspect(d api.Dialect, ev Event) Mark {
	f := examine(d, ev, nil)
	return Mark{
		Kind: f.kind, Finish: f.finish, Done: f.done,
		Usage: f.usage, UsageOnly: f.usage != nil && f.kind == Lifecycle && f.seen == choices{} && isOpenAI(d),
		AnswerID: f.answerID,
		text:     f.text,
		next:     f.sequence, seen: f.seen, finished: f.finished,
	}
}

func isOpenAI(d api.Dialect) bool { return d == api.Chat || d == api.Completions }

// choices is a set of choice indexes. OpenAI allows 128 choices; whatever lies
// beyond counts as the last.
type choices [2]uint64

func (s *choices) add(index int) {
	if index < 0 || index > 127 {
		index = 127
	}
	s[index/64] |= 1 << (index % 64)
}

func (s *choices) union(t choices) {
	s[0] |= t[0]
	s[1] |= t[1]
}

func (s choices) size() int { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }
