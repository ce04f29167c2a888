package upstreams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
	"github.com/llmrouter/caddy-llm-router/retry"
)

var (
	errEmpty = errors.New("the stream ended without any content")
	errOther = errors.New("the answer to go on with differs from what the client has")
)

// stream is the state of a streamed answer.
type stream struct {
	source source
	reader *sse.Reader
	// transcript is what the client has of the answer, while it can go on
	// elsewhere.
	transcript *sse.Transcript
	tracker    sse.Tracker
	// raw tells that an event was too large to be read. It and what follows is
	// passed on unread.
	raw bool
	// first is the event that the hold ended with, where it was too long to be
	// copied there. It is valid until the reader's next read.
	first []byte
	// closing is the event that ends the client's stream when nothing goes on.
	closing []byte
}

// source is the body of a stream. It is silent only while a read waits: a large
// event may take longer to come than idle_timeout.
type source struct {
	body  io.Reader
	watch *watch
	ended bool // all has been read
}

func (s *source) Read(p []byte) (int, error) {
	s.watch.alive()
	n, err := s.body.Read(p)
	s.watch.pause()
	s.ended = err == io.EOF
	return n, err
}

var readers = sync.Pool{New: func() any { return sse.NewReader(nil, false) }}

func (s *stream) open(body source, ndjson bool, d api.Dialect) {
	if s.reader == nil {
		s.reader = readers.Get().(*sse.Reader)
	}
	s.source = body
	s.reader.Reset(&s.source, ndjson)
	s.tracker = sse.NewTracker(d)
	s.first, s.raw = nil, false
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
	s.open(source{body: x.answer.res.Body, watch: x.watch}, x.answer.ndjson, x.dialect)
	x.account.stream = &s.tracker
	x.answer.held = getHold()
	var replay *sse.Replay
	switch {
	case x.committed:
		replay, x.resumed = s.transcript.Replay(), true
	case a.Resume:
		s.transcript = sse.NewTranscript(x.dialect)
	default:
		s.transcript = nil // of an attempt in a pool that resumes
	}
	for {
		ev, err := s.reader.Next()
		if errors.Is(err, sse.ErrTooLarge) {
			if replay != nil {
				return engine.Outcome{Class: retry.ServerError, Final: true, Err: errOther}
			}
			s.raw = true
			return engine.Outcome{}
		}
		if err != nil {
			return x.endedEarly(ctx, err)
		}
		mark := x.observe(ev)
		switch {
		case mark.Kind == sse.Error:
			return x.errorEvent(a, ev)
		case x.hides(mark):
			continue
		}
		if replay != nil {
			out, verdict := replay.Next(ev)
			if verdict == sse.Differ {
				return engine.Outcome{Class: retry.ServerError, Final: true, Err: errOther}
			}
			if verdict == sse.Pass {
				x.hold(out, true)
			}
			if replay.CaughtUp() {
				return engine.Outcome{}
			}
			continue
		}
		last := mark.Kind == sse.Content || mark.Finish || len(x.answer.held)+len(ev.Raw) > holdStreamLimit
		x.hold(ev.Raw, last)
		if s.transcript != nil {
			s.transcript.Observe(ev)
		}
		if last {
			return engine.Outcome{}
		}
	}
}

// hold holds an event back. The last may be an image of megabytes, which is
// written from where it is.
func (x *Exchange) hold(event []byte, last bool) {
	if last && len(event) > cap(x.answer.held)-len(x.answer.held) {
		x.stream.first = event
		return
	}
	x.answer.held = append(x.answer.held, event...)
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
	event := sse.UpstreamError(x.dialect, ev)
	if x.committed {
		x.stream.closing = bytes.Clone(event)
	} else {
		body := append(x.answer.held, event...)
		x.keep(a, body[:min(len(body), maxRefusal)], len(body) <= maxRefusal)
	}
	return x.classified(a, class, ev.Data)
}

// resumable tells whether another deployment's answer could go on where the
// client is.
func (x *Exchange) resumable() bool {
	return x.stream.transcript != nil && x.stream.transcript.Resumable()
}
