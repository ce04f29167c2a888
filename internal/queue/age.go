package queue

import "time"

// AgingStep is how long a waiter waits to be as important as if its priority
// were one smaller. After n steps it is no longer behind newcomers who are n
// more important; how fair teams are treated decides then. Waiting makes nobody
// more important than the most important one who waits, or teams that wait long
// would no longer share but be served by age.
const AgingStep = 10 * time.Second

// mostPriority bounds priorities, so that arithmetic on them cannot overflow.
const mostPriority = 1_000_000

func within(priority int) int { return min(max(priority, -mostPriority), mostPriority) }

// origin is what instants are counted from; they follow the monotonic clock. It
// is never written again.
var origin = time.Now()

// instant is t in nanoseconds since origin, small enough for one atomic word.
func instant(t time.Time) int64 { return int64(t.Sub(origin)) }

// due compares waiters across time: a waiter is as important as a newcomer, or
// more so, from when its due is no larger than the newcomer's. It stays the same
// while they wait.
func due(arrived int64, priority int) int64 {
	return arrived + int64(priority)*int64(AgingStep)
}

// class is a waiter's priority improved by age, but not below floor.
func (w *waiter) class(now int64, floor int) int {
	return max(floor, w.Priority-int((now-w.arrived)/int64(AgingStep)))
}

// floor is the priority of the most important one who waits.
func (q *Queue) floor() int {
	floor := mostPriority
	for _, l := range q.lines {
		floor = min(floor, l.priority)
	}
	return floor
}
