package queue

import (
	"slices"
	"time"
)

// waiter is an Entry that has its place. The Queue's lock guards it until settled
// is closed; after that it is its goroutine's own.
type waiter struct {
	Entry

	seq     uint64
	arrived int64 // an instant
	due     int64
	kind    *kind
	line    *line // nil when it does not wait any more
	parked  bool  // it could not be served as it came

	settled  chan struct{}
	outcome  Outcome
	panicked any // by Take or Next
}

// line is who waits of one team with one priority, first come first. Its head is
// the most important of it.
type line struct {
	team     *team
	priority int
	waiters  []*waiter
}

// last is who came last.
func (l *line) last() *waiter { return l.waiters[len(l.waiters)-1] }

// kind is who waits for the same capacity.
type kind struct {
	waiting int
	failed  uint64 // the round in which Take has failed for one of them
	frees   int64  // the instant at which something may free by itself for them
}

// add gives a waiter its place.
func (q *Queue) add(w *waiter, now time.Time) {
	q.arrivals++
	w.seq, w.arrived = q.arrivals, instant(now)
	w.due = due(w.arrived, w.Priority)
	if q.waiting.Load() == 0 {
		q.pace.resume(w.arrived)
	}

	w.kind = q.kinds[w.Kind]
	if w.kind == nil {
		if q.kinds == nil {
			q.kinds = make(map[any]*kind)
		}
		w.kind = new(kind)
		q.kinds[w.Kind] = w.kind
	}
	w.kind.waiting++

	w.line = q.lineFor(q.teams.join(w.Team), w.Priority)
	w.line.waiters = append(w.line.waiters, w)

	// Before Take is called: whoever releases capacity after Take has looked for
	// it in vain then sees that somebody waits.
	q.waiting.Add(1)
}

func (q *Queue) lineFor(t *team, priority int) *line {
	for _, l := range q.lines {
		if l.team == t && l.priority == priority {
			return l
		}
	}
	l := &line{team: t, priority: priority}
	q.lines = append(q.lines, l)
	return l
}

// settle takes a waiter out of its place and lets its Wait return.
func (q *Queue) settle(w *waiter, now time.Time, out Outcome) {
	l := w.line
	i := slices.Index(l.waiters, w)
	l.waiters = slices.Delete(l.waiters, i, i+1)
	if len(l.waiters) == 0 {
		i := slices.Index(q.lines, l)
		q.lines = slices.Delete(q.lines, i, i+1)
	}
	if w.kind.waiting--; w.kind.waiting == 0 {
		delete(q.kinds, w.Kind)
	}
	q.teams.quit(l.team)
	w.line, w.outcome = nil, out
	close(w.settled)

	if q.waiting.Add(-1) == 0 {
		q.rest(now)
	}
}

// rest lets go of everything that only a queue with waiters needs.
func (q *Queue) rest(now time.Time) {
	q.pace.pause(instant(now))
	q.teams, q.kinds, q.lines, q.turns = teams{}, nil, nil, nil
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
}
