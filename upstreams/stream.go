package upstreams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
	"github.com/llmrouter/caddy-llm-router/retry"
)

var (
	errCut   = errors.New("the stream stopped before its end")
	errEmpty = errors.New("the stream ended without any content")
)

// stream is the state of a streamed answer.
type stream struct {
	reader  *sse.Reader
	tracker sse.Tracker
	// transcript is what the client has of the answer, while it can go on
	// elsewhere.
	transcript *sse.Transcript
	// closing is the event that ends the client's stream when nothing goes on.
	closing []byte
	// dropped counts the events whose data was not JSON.
	dropped int
}

var readers = sync.Pool{New: func() any { return sse.NewReader(nil, false) }}

func (s *stream) open(body io.Reader, ndjson bool, d api.Dialect) {
	if s.reader == nil {
		s.reader = readers.Get().(*sse.Reader)
	}
	s.reader.Reset(body, ndjson)
	s.tracker = sse.NewTracker(d)
}

func (s *stream) free() {
	if s.reader != nil {
		s.reader.Reset(nil, false)
		readers.Put(s.reader)
		s.reader = nil
	}
}

// holdStream reads a stream up to its first content event, or, where the client
// has a part of the answer already, up to where the client is.
func (x *Exchange) holdStream(ctx context.Context, a *engine.Attempt) engine.Outcome {
	s := &x.stream
	s.open(x.answer.res.Body, x.answer.ndjson, x.dialect)
	x.answer.held = getHold()
	var replay *sse.Replay
	if x.committed {
		replay = s.transcript.Replay()
	} else if a.Resume {
		s.transcript = sse.NewTranscript(x.dialect)
	}
	for {
		ev, err := s.reader.Next()
		if err != nil {
			return x.endedEarly(ctx, err)
		}
		mark := sse.Inspect(x.dialect, ev)
		s.tracker.Observe(mark)
		switch mark.Kind {
		case sse.Invalid:
			s.dropped++
			continue
		case sse.Error:
			return x.errorEvent(a, ev)
		}
		if replay != nil {
			out, verdict := replay.Next(ev)
			if verdict == sse.Differ {
				return engine.Outcome{Class: retry.ServerError, Final: true, Err: errors.New("the answer to go on with differs from what the client has")}
			}
			if verdict == sse.Pass {
				x.answer.held = append(x.answer.held, out...)
			}
			if replay.CaughtUp() {
				return engine.Outcome{}
			}
			continue
		}
		x.answer.held = append(x.answer.held, ev.Raw...)
		if s.transcript != nil {
			s.transcript.Observe(ev)
		}
		if mark.Kind == sse.Content || mark.Finish || len(x.answer.held) > holdStreamLimit {
			return engine.Outcome{}
		}
	}
}

// endedEarly is the outcome of a stream that stopped before its first content.
func (x *Exchange) endedEarly(ctx context.Context, err error) engine.Outcome {
	if !errors.Is(err, io.EOF) {
		return x.failed(ctx, err)
	}
	return engine.Outcome{Class: retry.Connection, Err: errEmpty}
}

// errorEvent is the outcome of an error inside a stream. Before the client has
// anything it is kept like any other bad answer.
func (x *Exchange) errorEvent(a *engine.Attempt, ev sse.Event) engine.Outcome {
	class := retry.ClassifyEvent(ev.Data)
	if class == retry.None {
		class = retry.ServerError
	}
	if x.committed {
		x.stream.closing = bytes.Clone(ev.Raw)
	} else {
		x.keep(a, append(x.answer.held, ev.Raw...), true)
	}
	return x.classified(a, class, ev.Data)
}

// deliverStream passes a stream on, event by event, to its end.
func (x *Exchange) deliverStream(ctx context.Context, a *engine.Attempt) engine.Outcome {
	s := &x.stream
	s.closing = nil
	if _, err := x.w.Write(x.answer.held); err != nil {
		return clientGone(err)
	}
	x.answer.held = x.answer.held[:0]
	for {
		if !s.reader.Buffered() {
			if err := x.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return clientGone(err)
			}
			x.watch.alive()
		}
		ev, err := s.reader.Next()
		x.watch.pause()
		if err != nil {
			return x.streamEnded(ctx, err)
		}
		mark := sse.Inspect(x.dialect, ev)
		s.tracker.Observe(mark)
		switch mark.Kind {
		case sse.Invalid:
			s.dropped++
			continue
		case sse.Error:
			out := x.errorEvent(a, ev)
			out.Final = !x.resumable()
			return out
		}
		if s.transcript != nil {
			s.transcript.Observe(ev)
		}
		if _, err := x.w.Write(ev.Raw); err != nil {
			return clientGone(err)
		}
	}
}

// streamEnded tells whether a stream that stopped was complete. One that had
// its end and lacks only the closing event gets it.
func (x *Exchange) streamEnded(ctx context.Context, err error) engine.Outcome {
	s := &x.stream
	complete := s.tracker.Complete() && (errors.Is(err, io.EOF) || x.dialect != api.Other)
	if complete && ctx.Err() == nil {
		if !s.tracker.Done() {
			if _, err := x.w.Write(sse.DoneEvent(x.dialect)); err != nil {
				return clientGone(err)
			}
		}
		x.writeTrailers()
		return engine.Outcome{}
	}
	if errors.Is(err, io.EOF) {
		err = errCut
	}
	out := x.failed(ctx, err)
	out.Final = !x.resumable()
	return out
}

// Dropped is the number of events that did not reach the client because their
// data was not JSON.
func (x *Exchange) Dropped() int { return x.stream.dropped }

// resumable tells whether another deployment's answer could go on where the
// client is.
func (x *Exchange) resumable() bool {
	return x.stream.transcript != nil && x.stream.transcript.Resumable()
}
