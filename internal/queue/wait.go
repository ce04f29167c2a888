package queue

import (
	"context"
	"time"
)

// Wait waits until capacity was taken for the request, or there is no use in
// waiting any longer. It tries at once, and with it those who are ahead. Where
// that leaves too many waiting, one has to go: of the least important, the one
// that came last of the team with the most waiters. That may be the newcomer.
//
// It returns Taken if and only if Take has succeeded, even when the context has
// ended meanwhile.
func (q *Queue) Wait(ctx context.Context, e Entry) Outcome {
	if ctx.Err() != nil {
		return Outcome{Result: Canceled}
	}
	e.Priority = within(e.Priority)
	w := &waiter{Entry: e, settled: make(chan struct{})}
	q.enter(w)
	late := time.NewTimer(e.Timeout)
	defer late.Stop()
	select {
	case <-w.settled:
	case <-ctx.Done():
		q.leave(w, Canceled)
	case <-late.C:
		q.leave(w, TimedOut)
	}
	if w.panicked != nil {
		panic(w.panicked)
	}
	return w.outcome
}

// enter gives a newcomer its place, serves it if that can be, and sends someone
// away if there are too many now.
func (q *Queue) enter(w *waiter) {
	q.mu.Lock()
	defer q.unlock()
	now := time.Now()
	q.add(w, now)
	// If another of its kind waits then there is nothing to be had for it.
	if w.kind.waiting == 1 {
		q.walk(now)
	}
	w.parked = true
	if w.line == nil || q.Waiting() <= w.Size {
		return
	}
	if least := q.least(now); least != w && w.Size > 0 {
		q.dismiss(least, now, Shed)
		return
	}
	q.dismiss(w, now, Refused)
}

// leave ends a wait from the waiter's side, unless it has ended already.
func (q *Queue) leave(w *waiter, r Result) {
	q.mu.Lock()
	defer q.unlock()
	if w.line != nil {
		q.dismiss(w, time.Now(), r)
	}
}

// dismiss ends a wait in vain.
func (q *Queue) dismiss(w *waiter, now time.Time, r Result) {
	out := Outcome{Result: r}
	if r != Canceled {
		out.Predicted = q.predict(w, instant(now))
	}
	q.settle(w, now, out)
}
