package queue

import (
	"container/heap"
	"fmt"
	"runtime/debug"
	"time"
)

// recheck is how long the queue goes without trying its waiters. Not everything
// that frees capacity says so: a health check, a config, another instance.
const recheck = time.Second

// soon keeps a Next that is due from turning the timer into a loop.
const soon = time.Millisecond

// Dispatch lets waiters take what has become free. Call it whenever capacity was
// released, after the release, and without a lock that Take needs. While nobody
// waits it is one atomic load. Else it calls Take once for each waiter that is
// served and once for each kind that fails, and takes time in proportion to n log
// n of all waiters at the very most.
func (q *Queue) Dispatch() {
	if q.waiting.Load() == 0 {
		return
	}
	if q.coming.Swap(true) {
		return // whoever set it has not begun to walk, and so will see the release
	}
	q.mu.Lock()
	defer q.unlock()
	q.coming.Store(false)
	q.walk(time.Now())
}

// wake is what the timer does.
func (q *Queue) wake() {
	q.mu.Lock()
	defer q.unlock()
	q.walk(time.Now())
}

// walk tries waiters in order until those who are left cannot be served, and sets
// the timer for when that may change. A kind that has failed once is passed over:
// in the course of a walk capacity only becomes less, but for releases, and these
// are followed by a walk of their own.
func (q *Queue) walk(now time.Time) {
	q.round++
	q.teams.level()
	at, floor := instant(now), q.floor()
	q.turns = q.turns[:0]
	for _, l := range q.lines {
		t, _ := turnOf(l, 0, q.round, at, floor)
		q.turns = append(q.turns, t)
	}
	heap.Init(&q.turns)

	frees := at + int64(recheck)
	for failed := 0; failed < len(q.kinds); {
		first := &q.turns[0]
		t, ok := turnOf(first.line, first.at, q.round, at, floor)
		switch {
		case !ok: // the last one takes its place
			last := len(q.turns) - 1
			*first = q.turns[last]
			q.turns = q.turns[:last]
			heap.Fix(&q.turns, 0)
			continue
		case t != *first: // another of the line, or its team has been served
			*first = t
			heap.Fix(&q.turns, 0)
			continue
		}
		w := t.line.waiters[t.at]
		if q.try(w, now) {
			continue
		}
		w.kind.failed = q.round
		failed++
		frees = min(frees, w.kind.frees)
	}
	if len(q.kinds) > 0 {
		q.arm(max(time.Duration(frees-at), soon))
	}
}

// try lets a waiter take capacity; false when it still waits. A panic is handed to
// the goroutine whose request it is about.
func (q *Queue) try(w *waiter, now time.Time) (gone bool) {
	defer func() {
		if p := recover(); p != nil {
			w.panicked = fmt.Sprintf("%v\n\n%s", p, debug.Stack())
			q.settle(w, now, Outcome{})
			gone = true
		}
	}()
	if w.Take() {
		q.teams.charge(w.line.team, w.Tokens)
		if w.parked {
			q.pace.served(instant(now))
		}
		q.settle(w, now, Outcome{Result: Taken})
		return true
	}
	w.kind.frees = never
	if w.Next != nil {
		if d, ok := w.Next(now); ok {
			w.kind.frees = instant(now) + int64(min(max(d, 0), mostNext))
		}
	}
	return false
}

func (q *Queue) arm(d time.Duration) {
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.wake)
		return
	}
	q.timer.Reset(d)
}
