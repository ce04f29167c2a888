package upstreams

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// errLimit is the cause of an attempt that ran into its limit.
var errLimit = errors.New("the deployment took too long")

// watch bounds an attempt in time: first the whole wait for a good answer, then
// the silence inside it.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
}

// newWatch begins to watch an attempt that may take as long as limit.
func newWatch(parent context.Context, limit time.Duration) *watch {
	w := new(watch)
	w.ctx, w.cancel = context.WithCancelCause(parent)
	w.timer = time.AfterFunc(limit, w.expire)
	return w
}

func (w *watch) expire() { w.cancel(errLimit) }

// limit bounds only the silence from now on, between alive and pause; 0 is no
// bound.
func (w *watch) limit(idle time.Duration) {
	w.idle = idle
	w.timer.Stop()
}

// alive starts the silence anew, before a read.
func (w *watch) alive() {
	if w.idle > 0 {
		w.timer.Reset(w.idle)
	}
}

// pause ends the silence, after a read: a client that takes its time with what
// was read is no silence of the upstream's. Until limit it does nothing.
func (w *watch) pause() {
	if w.idle > 0 {
		w.timer.Stop()
	}
}

// within bounds all that is still to come, silence or not.
func (w *watch) within(d time.Duration) {
	w.idle = 0
	w.timer.Reset(d)
}

// stop ends the attempt: whatever is still open of it is closed.
func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
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
