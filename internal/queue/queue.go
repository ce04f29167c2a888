// Package queue lets the requests of a pool wait for capacity, in an order that
// is fair to all of them.
//
// Who is more important goes first, and waiting makes more important, so nobody
// starves. Among equals the team that has been given the fewest tokens goes
// first, and within a team who came first. A waiter that cannot use what is free
// keeps its place and holds up nobody who can.
package queue

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Queue is where the requests of one pool wait. The zero value is ready for use;
// it must not be copied. It is safe for concurrent use. It knows no limits of its
// own: each Entry brings those of its configuration, so a Queue outlives reloads.
//
// A Queue on which nobody waits holds no timer, no goroutine and no memory of
// teams, and costs a request one atomic load.
type Queue struct {
	waiting atomic.Int64
	front   atomic.Int64 // the smallest due of all; means nothing while nobody waits
	coming  atomic.Bool  // somebody is about to walk; see Dispatch

	// mu guards the rest. It is held while Take and Next run, so that they run
	// one at a time.
	mu       sync.Mutex
	lines    []*line
	kinds    map[any]*kind
	teams    teams
	pace     pace
	turns    turns  // of the last walk, kept for its memory
	round    uint64 // numbers walks
	arrivals uint64 // numbers waiters
	timer    *time.Timer
}

// Waiting is how many requests wait. It is one atomic load, also while the queue
// is busy.
func (q *Queue) Waiting() int { return int(q.waiting.Load()) }

// MustWait tells whether a newcomer of that priority has to go by Wait, because
// somebody waits who is as important by now or more so. Ask before taking any
// capacity directly: taking it in spite of this is jumping the queue. Wait does
// not block for long where the newcomer can be served by what those ahead of it
// cannot use. While nobody waits it is one atomic load, else two; no lock.
func (q *Queue) MustWait(now time.Time, priority int) bool {
	return q.waiting.Load() > 0 && q.front.Load() <= due(instant(now), within(priority))
}

// unlock ends what has changed the waiters, and tells MustWait.
func (q *Queue) unlock() {
	front := int64(math.MaxInt64)
	for _, l := range q.lines {
		front = min(front, l.waiters[0].due)
	}
	q.front.Store(front)
	q.mu.Unlock()
}
