package queue

// turn is who of a line is next to be tried, and where that puts the line among
// the others. Going through a walk, lines only move back.
type turn struct {
	line  *line
	at    int // in line.waiters
	class int
	ahead int64
	seq   uint64
}

// turnOf finds who is next in a line, from at on; false when Take has failed this
// round for all of their kinds.
func turnOf(l *line, at int, round uint64, now int64, floor int) (turn, bool) {
	for ; at < len(l.waiters); at++ {
		if w := l.waiters[at]; w.kind.failed != round {
			return turn{l, at, w.class(now, floor), l.team.ahead, w.seq}, true
		}
	}
	return turn{}, false
}

// turns is a heap of them, whose first is the first in order. It implements
// heap.Interface, but for Push and Pop, which nobody calls: they would allocate.
type turns []turn

func (ts turns) Len() int      { return len(ts) }
func (ts turns) Swap(i, j int) { ts[i], ts[j] = ts[j], ts[i] }

func (ts turns) Less(i, j int) bool {
	a, b := &ts[i], &ts[j]
	switch {
	case a.class != b.class:
		return a.class < b.class
	case a.ahead != b.ahead:
		return a.ahead < b.ahead
	}
	return a.seq < b.seq
}

func (*turns) Push(any) { panic("queue: turns are not pushed") }
func (*turns) Pop() any { panic("queue: turns are not popped") }
