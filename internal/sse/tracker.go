package sse

import "github.com/llmrouter/caddy-llm-router/internal/api"

// Tracker keeps what a router has to know of one stream: whether content has
// come and whether the answer is complete. It is not safe for concurrent use.
type Tracker struct {
	dialect        api.Dialect
	started        bool
	finish         bool
	done           bool
	next           int64
	pieces, text   int64
	seen, finished choices
}

// NewTracker returns the Tracker of a stream that has not begun.
func NewTracker(d api.Dialect) Tracker { return Tracker{dialect: d} }

// Observe takes note of an event of the stream.
func (t *Tracker) Observe(m Mark) {
	if m.Kind == Content {
		t.started = true
		t.pieces++
		t.text += int64(m.text)
	}
	t.finish = t.finish || m.Finish
	t.done = t.done || m.Done
	t.next = max(t.next, m.next)
	t.seen.union(m.seen)
	t.finished.union(m.finished)
}

// Started reports whether content has come.
func (t *Tracker) Started() bool { return t.started }

// Output is how much content has come: the events that brought any, and the bytes
// of text in them, as it is written in JSON. What is no text, such as audio or a
// tool call, counts as its events alone.
func (t *Tracker) Output() (events, bytes int64) { return t.pieces, t.text }

// Done reports whether [DONE] has come.
func (t *Tracker) Done() bool { return t.done }

// Complete reports whether the end of the answer has come. With several choices
// it has come when as many of them have finished as were seen; a choice that
// has not begun by then is not missed. [DONE] is an end as well: it is the
// server's word, also where it sends no finish_reason. Streams of api.Other
// have no end that is known, and are complete as soon as they have content.
func (t *Tracker) Complete() bool {
	switch {
	case t.done:
		return true
	case t.dialect == api.Other:
		return t.started
	}
	return t.finish && t.finished.size() == t.seen.size()
}

// Ended reports whether the event has come after which the dialect has no other:
// [DONE], message_stop, response.completed, done:true. In chat and completions a
// finish_reason is not that yet, for usage may follow. Streams of api.Other have
// no end that is known.
func (t *Tracker) Ended() bool {
	switch t.dialect {
	case api.Other:
		return false
	case api.Chat, api.Completions:
		return t.done
	}
	return t.done || t.finish
}

// NextSequence is the sequence_number that the next event of a Responses stream
// carries, for ErrorEvent.
func (t *Tracker) NextSequence() int64 { return t.next }
