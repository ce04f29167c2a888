package upstreams

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// errLimit is the cause of an attempt that ran into its limit.
var errLimit = errors.New("the deployment took too long")

// watch bounds an attempt in time: first the whole wait for a good answer, then
// the silence inside it. Its methods are called on one goroutine.
type watch struct {
	// What every event of a stream reads or writes comes first: of many streams, whose
	// memory has left the processor's caches between two events, it is one line of them.

	began time.Time
	// waiting is when the read that is going on began, in nanoseconds since
	// began; 0 is that none is. Every event of a stream sets it, which is cheaper
	// than it would be to set the timer.
	waiting atomic.Int64
	idle    time.Duration
	due     time.Duration // since began; 0 is never. It counts while idle is 0.

	mu    sync.Mutex // the timer may have fired already when it is set anew
	timer *time.Timer

	ctx    context.Context
	cancel context.CancelCauseFunc
}

// newWatch begins to watch an attempt that may take as long as limit.
func newWatch(parent context.Context, limit time.Duration) *watch {
	w := new(watch)
	w.begin(parent, limit)
	return w
}

// begin watches an attempt with a new watch, or with one that was stopped. What the
// timer of an earlier attempt still calls finds that nothing is due.
func (w *watch) begin(parent context.Context, limit time.Duration) {
	w.mu.Lock() // a limit of nothing fires at once
	defer w.mu.Unlock()
	w.ctx, w.cancel = context.WithCancelCause(parent)
	w.began, w.idle, w.due = time.Now(), 0, max(limit, 1)
	w.waiting.Store(0)
	if w.timer == nil {
		w.timer = time.AfterFunc(limit, w.expire)
		return
	}
	w.timer.Reset(limit)
}

// expire ends the attempt if its time is up, or sets the timer to when it may be.
func (w *watch) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Since(w.began)
	left := w.due - now
	switch {
	case w.ctx == nil, w.ctx.Err() != nil, w.idle == 0 && w.due == 0:
		return
	case w.idle > 0:
		since := time.Duration(w.waiting.Load())
		if since == 0 {
			since = now
		}
		left = w.idle - (now - since)
	}
	if left > 0 {
		w.timer.Reset(left)
		return
	}
	w.cancel(errLimit)
}

// limit bounds only the silence from now on, between alive and pause; 0 is no
// bound.
func (w *watch) limit(idle time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle, w.due = idle, 0
	if idle > 0 {
		w.timer.Reset(idle)
		return
	}
	w.timer.Stop()
}

// alive starts the silence anew, before a read.
func (w *watch) alive() {
	if w.idle > 0 {
		w.waiting.Store(max(1, int64(time.Since(w.began))))
	}
}

// pause ends the silence, after a read: a client that takes its time with what
// was read is no silence of the upstream's. Until limit it does nothing.
func (w *watch) pause() {
	if w.idle > 0 {
		w.waiting.Store(0)
	}
}

// within bounds all that is still to come, silence or not.
func (w *watch) within(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle, w.due = 0, time.Since(w.began)+d
	w.timer.Reset(d)
}

// stop ends the attempt: whatever is still open of it is closed.
func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// forget lets go of the attempt, which has been stopped.
func (w *watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ctx, w.cancel = nil, nil
}

// isTimeout tells whether the transport gave up waiting for an answer. A dial
// that took too long is a failed connection instead.
func isTimeout(err error) bool {
	if _, ok := errors.AsType[reverseproxy.DialError](err); ok {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
