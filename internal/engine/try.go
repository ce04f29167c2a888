package engine

import (
	"cmp"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// try is one attempt between its begin and its end, with what it has taken of its
// deployment. It belongs to one goroutine at a time. Its methods touch nothing of
// the walk that changes, so that one that lost can be ended anywhere.
type try struct {
	turn        Attempt
	began       time.Time
	ticket      health.Ticket
	carried     selection.Carried
	reservation selection.Reservation
	mark        selection.Mark
	// excused tells that running into its limit is not held against it: the limit is the
	// client's, or what another attempt has left of the time.
	excused bool
	// unpaid tells that it is a failover which costs what a retry does if it fails.
	unpaid bool
	// good is how long it took until the answer was known to be good, where hedges go
	// by that.
	good time.Duration
	// recovered tells that the begin of its answer has ended a cooldown.
	recovered bool
	ended     bool
}

// start makes the attempt that begin has taken a place for.
func (w *walk) start(t *try) {
	c := t.turn.Candidate
	w.carry(t)
	t.began = time.Now()
	if w.tries == 0 {
		w.target.Pool.Policy.Retry.Budget.Deposit(t.began)
	}
	w.tries++
	w.attempts++
	var limit time.Duration
	limit, t.excused = w.limit(c)
	t.turn = Attempt{
		Target: w.target, Candidate: c,
		Limit: limit, Idle: cmp.Or(c.Limits.Idle, w.target.Pool.Policy.Idle), Resume: w.target.Pool.Policy.Resume,
		Number: w.attempts, Fallbacks: w.fallbacks, Made: w.attempts, Hedge: t.turn.Hedge,
		walk: w,
	}
	t.unpaid = !t.turn.Hedge && w.tries > 1 && !w.retrying && !w.paid
	t.good, t.recovered = 0, false
}

// end gives back what the attempt still holds. A second call does nothing.
func (t *try) end() {
	if t.ended {
		return
	}
	t.ended = true
	t.ticket.Release() // for a panic on its way up; settled otherwise
	t.carried.End()
	t.reservation.Keep() // as estimated, where nothing better is known
	t.turn.Candidate.Release()
}

// lose settles with the deployment an attempt that another one was faster than.
func (t *try) lose(now time.Time, out Outcome) {
	t.turn.Took = now.Sub(t.began)
	t.account(out)
	t.time(now, out, true)
	t.learn(out)
	t.end()
}
