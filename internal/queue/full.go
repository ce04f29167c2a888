package queue

import "time"

// least is who goes first when there are too many.
func (q *Queue) least(now time.Time) *waiter {
	at, floor := instant(now), q.floor()
	var least *waiter
	for _, l := range q.lines {
		w := l.last()
		if least == nil || lesser(w, least, at, floor) {
			least = w
		}
	}
	return least
}

func lesser(a, b *waiter, now int64, floor int) bool {
	ca, cb := a.class(now, floor), b.class(now, floor)
	na, nb := a.line.team.waiting, b.line.team.waiting
	switch {
	case ca != cb:
		return ca > cb
	case na != nb:
		return na > nb
	}
	return a.seq > b.seq
}
