package upstreams

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// maxErrorBody is the size of answer up to which a good status is not believed
// unseen: some servers send their errors with one.
const maxErrorBody = 16 << 10

// holdWhole reads an answer that does not stream, to its end if that comes
// early enough.
func (x *Exchange) holdWhole(ctx context.Context, a *engine.Attempt) engine.Outcome {
	limit := firstRead
	if x.answer.json {
		limit = holdWholeLimit
	}
	if err := x.answer.read(limit); err != nil {
		return x.failed(ctx, err)
	}
	if x.answer.json && x.answer.complete && len(x.answer.held) <= maxErrorBody {
		if class := retry.ClassifyEvent(x.answer.held); class != retry.None {
			x.keep(a, x.answer.held, true)
			return x.classified(a, class, x.answer.held)
		}
	}
	x.wholeHeld()
	if x.wantsID && x.answer.json {
		x.idCame(idOf(x.answer.held))
	}
	return engine.Outcome{}
}

// deliverWhole passes on what is held of an answer, and then the rest.
func (x *Exchange) deliverWhole(ctx context.Context) engine.Outcome {
	x.account.began = true
	if _, err := x.w.Write(x.answer.held); err != nil {
		return clientGone(err)
	}
	if !x.answer.complete {
		if out := x.copyRest(ctx); out.Class != retry.None {
			return out
		}
		x.wholeCame()
	}
	x.writeTrailers()
	return engine.Outcome{}
}

// copyRest passes on the part of an answer that was too long to hold back.
func (x *Exchange) copyRest(ctx context.Context) engine.Outcome {
	flush := x.answer.streams || x.answer.res.ContentLength < 0
	if flush {
		x.control.Flush()
	}
	buf := x.answer.held[:cap(x.answer.held)]
	for {
		x.watch.alive()
		n, err := x.answer.res.Body.Read(buf)
		x.watch.pause()
		if n > 0 {
			if x.answer.json {
				x.account.tail.Write(buf[:n]) //nolint:errcheck // it never fails
			}
			if _, err := x.w.Write(buf[:n]); err != nil {
				return clientGone(err)
			}
			if flush {
				x.control.Flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return engine.Outcome{}
		}
		if err != nil {
			out := x.failed(ctx, err)
			out.Final = true
			return out
		}
	}
}

// writeTrailers sends the trailers of an answer: under their names where they
// were announced, else under Go's prefix for trailers that were not.
func (x *Exchange) writeTrailers() {
	res := x.answer.res
	if len(res.Trailer) == 0 {
		return
	}
	announced := make(map[string]bool)
	for _, name := range x.w.Header()["Trailer"] {
		announced[name] = true
	}
	// Trailers need a chunked body, which a short one would not become.
	x.control.Flush()
	for name, values := range res.Trailer {
		if !announced[name] {
			name = http.TrailerPrefix + name
		}
		x.w.Header()[name] = values
	}
}

// clientGone is the outcome of a write that failed.
func clientGone(err error) engine.Outcome {
	return engine.Outcome{Class: retry.Canceled, Final: true, Err: err}
}
