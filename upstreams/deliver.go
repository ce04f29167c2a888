package upstreams

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
	"github.com/llmrouter/caddy-llm-router/retry"
)

var errCut = errors.New("the stream stopped before its end")

// endGrace is how long the body of a stream may stay open after its last event.
// Its end must be read, or the connection is lost: an upstream mostly sends it in
// a packet of its own, so that leaving at once would make every stream cost a
// new connection. Whatever comes of waiting, the answer is complete.
const endGrace = 500 * time.Millisecond

// deliverStream passes a stream on, event by event, to its end.
func (x *Exchange) deliverStream(ctx context.Context, a *engine.Attempt) engine.Outcome {
	s := &x.stream
	s.closing = nil
	for _, held := range [...][]byte{x.answer.held, s.first} {
		if err := x.write(held); err != nil {
			return clientGone(err)
		}
	}
	x.answer.held, s.first = x.answer.held[:0], nil
	if s.raw {
		return x.deliverUnread(ctx)
	}
	passed := 0 // bytes of the last events, which are written together
	for {
		ended := s.tracker.Ended()
		if ended || !s.reader.Buffered() {
			if err := x.write(s.reader.Last(passed)); err != nil {
				return clientGone(err)
			}
			passed = 0
			if ended {
				return x.deliverEnd()
			}
			if err := x.flush(); err != nil {
				return clientGone(err)
			}
		}
		ev, err := s.reader.Next()
		switch {
		case errors.Is(err, sse.ErrTooLarge):
			s.raw = true
			return x.deliverUnread(ctx)
		case err != nil:
			return x.streamEnded(ctx, err)
		}
		mark := x.observe(ev)
		if mark.Kind != sse.Error && !x.hides(mark) {
			passed += len(ev.Raw)
			if s.transcript != nil {
				s.transcript.Observe(ev)
			}
			continue
		}
		if err := x.write(s.reader.Last(passed + len(ev.Raw))[:passed]); err != nil {
			return clientGone(err)
		}
		passed = 0
		if mark.Kind == sse.Error {
			out := x.errorEvent(a, ev)
			out.Final = !x.resumable()
			return out
		}
	}
}

// hides tells whether an event is kept from the client.
func (x *Exchange) hides(mark sse.Mark) bool {
	return mark.Kind == sse.Invalid || mark.UsageOnly && x.hidesUsage
}

// write gives the client events, if there are any.
func (x *Exchange) write(events []byte) error {
	if len(events) == 0 {
		return nil
	}
	_, err := x.w.Write(events)
	return err
}

// deliverEnd gives the client the last event of a complete answer and waits a
// little for the upstream's end. A client that leaves meanwhile has everything.
// What the upstream still says is passed on.
func (x *Exchange) deliverEnd() engine.Outcome {
	s := &x.stream
	if err := x.flush(); err != nil {
		return clientGone(err)
	}
	x.watch.within(endGrace)
	for {
		ev, err := s.reader.Next()
		if err == nil {
			if !x.hides(x.observe(ev)) {
				_, err = x.w.Write(ev.Raw)
			}
		}
		if err != nil {
			x.writeTrailers()
			return engine.Outcome{}
		}
	}
}

// deliverUnread passes on an event that is too large to be read, and the rest of
// the stream.
func (x *Exchange) deliverUnread(ctx context.Context) engine.Outcome {
	if !x.account.began {
		x.contentCame()
	}
	if _, err := x.w.Write(x.stream.reader.Rest()); err != nil {
		return clientGone(err)
	}
	x.stream.reader.Reset(nil, false) // which was as large as can be
	out := x.copyRest(ctx)
	if out.Class == retry.None {
		x.writeTrailers()
	}
	return out
}

// flush sends the client what was written, if that can be done at all.
func (x *Exchange) flush() error {
	if err := x.control.Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// streamEnded tells whether a stream that stopped before its last event was
// complete. One that lacks only the closing event gets it.
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
