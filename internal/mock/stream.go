package mock

import (
	"context"
	"io"
	"sync"
	"time"
)

// script is a streamed answer that is rendered while it is read, so that a long
// one costs no memory.
type script struct {
	// before are the lifecycle events that come at once.
	before [][]byte
	// pieces is how many events with content there are.
	pieces int
	// piece renders the event with content i, counted from 0.
	piece func(i int) []byte
	// after are the events that follow the last content.
	after [][]byte
}

// event returns event i of the whole script, or nil after the last.
func (s *script) event(i int) []byte {
	if i < len(s.before) {
		return s.before[i]
	}
	i -= len(s.before)
	if i < s.pieces {
		return s.piece(i)
	}
	i -= s.pieces
	if i < len(s.after) {
		return s.after[i]
	}
	return nil
}

// body plays a script. Its delays happen inside Read, without a goroutine, and
// end when the context does or the body is closed.
type body struct {
	ctx        context.Context
	script     script
	firstToken time.Duration
	interval   time.Duration

	// next and rest belong to the one goroutine that reads.
	next int    // index of the event that follows rest
	rest []byte // what is left of the current event

	closing sync.Once
	closed  chan struct{}
}

func newBody(ctx context.Context, s script, firstToken, interval time.Duration) *body {
	return &body{ctx: ctx, script: s, firstToken: firstToken, interval: interval, closed: make(chan struct{})}
}

// Read returns at most one event, so that a proxy which flushes what it reads
// flushes each event on its own.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(b.rest) == 0 {
		if err := sleep(b.ctx, b.closed, b.delay()); err != nil {
			return 0, err
		}
		b.rest = b.script.event(b.next)
		if b.rest == nil {
			return 0, io.EOF
		}
		b.next++
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// delay is the wait before the next event.
func (b *body) delay() time.Duration {
	switch i := b.next - len(b.script.before); {
	case i == 0:
		return b.firstToken
	case i > 0 && i < b.script.pieces:
		return b.interval
	}
	return 0
}

// Close ends a Read that waits. It may be called from another goroutine.
func (b *body) Close() error {
	b.closing.Do(func() { close(b.closed) })
	return nil
}

// sleep waits for d, or returns why it did not. A nil closed never ends it.
func sleep(ctx context.Context, closed <-chan struct{}, d time.Duration) error {
	select {
	case <-closed:
		return errClosed
	default:
	}
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-closed:
		return errClosed
	}
}
