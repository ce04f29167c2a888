package sse

import "github.com/llmrouter/caddy-llm-router/internal/api"

const (
	// MaxTranscript is how much text of an answer a Transcript keeps, in bytes.
	// A longer answer cannot be resumed.
	MaxTranscript = 1 << 20
	// maxSegments bounds how often an answer may change its channel.
	maxSegments = 1024
)

// Transcript keeps what the client has of an answer, so that a second stream
// can be checked against it and go on where the first was cut.
//
// An answer can be resumed if it is text alone, which is compared character by
// character in the order it came: reasoning and answer are channels of their
// own, and where one changes to the other has to be the same too, as have the
// content blocks of the Messages API. It cannot once the client has a part of a
// tool call, audio, citations, log probabilities or anything else that is not
// plain text, more than one choice, half a surrogate pair, or more than
// MaxTranscript. Streams of the Responses API never can: its events refer to
// items by ids that the second stream would give anew, and its last event
// repeats the whole answer under them. Nor can those of api.Other.
//
// A Transcript is not safe for concurrent use.
type Transcript struct {
	dialect  api.Dialect
	text     []byte
	segments []segment
	lost     bool // the answer cannot be resumed
	finished bool
	room     [maxItems]item // for those of one event at a time
}

// segment is a run of text in one channel, or a mark.
type segment struct {
	part  part
	index int32
	end   int // of its text in the Transcript's; it begins where the one before ended
}

// NewTranscript returns an empty Transcript of an answer in dialect d.
func NewTranscript(d api.Dialect) *Transcript {
	return &Transcript{dialect: d, lost: d == api.Responses || d == api.Other}
}

// Observe takes note of an event that the client has got.
func (t *Transcript) Observe(ev Event) {
	if t.lost {
		return
	}
	t.observe(examine(t.dialect, ev, t.room[:]), ev.Data, 0)
}

// observe adds the items of an event from the given one on.
func (t *Transcript) observe(f facts, data []byte, from int) {
	switch f.kind {
	case KeepAlive, Invalid:
		return
	}
	if f.opaque || f.kind == Error {
		t.lose()
		return
	}
	for _, it := range f.items[from:] {
		t.add(it, data)
	}
	t.finished = t.finished || f.finish || f.done
}

func (t *Transcript) add(it item, data []byte) {
	if t.lost {
		return
	}
	if it.part.isText() {
		var ok bool
		// A text never is longer than the JSON string that it is written as.
		if len(t.text)+it.to-it.from > MaxTranscript {
			t.lose()
			return
		}
		if t.text, ok = appendText(t.text, data[it.from:it.to]); !ok {
			t.lose()
			return
		}
	}
	if last := len(t.segments) - 1; it.part.isText() && last >= 0 && t.segments[last].is(it) {
		t.segments[last].end = len(t.text)
		return
	}
	if len(t.segments) == maxSegments {
		t.lose()
		return
	}
	t.segments = append(t.segments, segment{part: it.part, index: it.index, end: len(t.text)})
}

func (s segment) is(it item) bool { return s.part == it.part && s.index == it.index }

func (t *Transcript) lose() { *t = Transcript{dialect: t.dialect, lost: true} }

// Resumable reports whether a second stream could go on where the client is:
// the answer is not complete, and all of it can be compared.
func (t *Transcript) Resumable() bool { return !t.lost && !t.finished }
