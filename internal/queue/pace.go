package queue

import (
	"math"
	"time"
)

const (
	// leastPredicted is also what is predicted when nothing is known. A client
	// cannot be told less: Retry-After counts in seconds.
	leastPredicted = time.Second
	// mostPaced bounds what is concluded from the pace.
	mostPaced = time.Hour
	// mostNext bounds what Next says.
	mostNext = 366 * 24 * time.Hour
	// never is the instant at which nothing frees by itself.
	never = math.MaxInt64
)

// paced is how many grants the pace is made of.
const paced = 32

// pace is how fast waiters are served, in the time in which somebody waits. The
// zero value is that of a queue on which nobody has waited yet.
type pace struct {
	begun  int64            // the instant since when somebody waits, if anybody does
	before int64            // for how long somebody has waited until then
	grants int              // ever
	at     [paced + 1]int64 // the last of them, in time waited; the first is the beginning
}

func (p *pace) resume(now int64) { p.begun = now }

func (p *pace) pause(now int64) { p.before = p.waited(now) }

func (p *pace) waited(now int64) int64 { return p.before + now - p.begun }

// served counts one who had to wait.
func (p *pace) served(now int64) {
	p.grants++
	p.at[p.grants%len(p.at)] = p.waited(now)
}

// timeFor is how long n grants take at the mean time from one to the next, the one
// that is under way included; false when there was none yet.
func (p *pace) timeFor(n int, now int64) (time.Duration, bool) {
	of := min(p.grants, paced)
	if of == 0 {
		return 0, false
	}
	since := p.at[(p.grants-of)%len(p.at)]
	gap := time.Duration((p.waited(now) - since) / int64(of))
	return min(min(gap, mostPaced)*time.Duration(n), mostPaced), true
}

// predict is Outcome.Predicted for someone like w who came now. It goes behind
// all who are as important by now.
func (q *Queue) predict(w *waiter, now int64) time.Duration {
	ahead := 0
	mine := due(now, w.Priority)
	for _, l := range q.lines {
		for _, other := range l.waiters {
			if other.due > mine {
				break // as are all behind it
			}
			if other != w {
				ahead++
			}
		}
	}
	wait := leastPredicted
	if paced, ok := q.pace.timeFor(ahead+1, now); ok {
		wait = max(wait, paced)
	}
	if w.kind.frees != never {
		wait = max(wait, time.Duration(w.kind.frees-now))
	}
	return wait
}
