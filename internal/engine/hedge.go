package engine

import (
	"context"
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// HedgePolicy says when a second attempt goes beside one whose answer is late.
// The zero HedgePolicy is never.
type HedgePolicy struct {
	// After is how long the first content is waited for: that of a stream, else the
	// whole answer.
	After time.Duration
	// Percentile takes the place of After: so many percent of the deployment's own
	// answers came sooner. 0 is to go by After.
	Percentile int
	// Max is how many hedges one request may have, one at a time.
	Max int
}

// hedgeFloor is the shortest wait that goes by a percentile: below it, what is
// late is as soon there as a hedge would be.
const hedgeFloor = 10 * time.Millisecond

// delay is how long c's answer is waited for; false where c has not answered often
// enough to tell.
func (p *HedgePolicy) delay(c *selection.Candidate, stream bool) (time.Duration, bool) {
	if p.Percentile == 0 {
		return p.After, true
	}
	delay, ok := c.ContentTimes(stream).Percentile(p.Percentile)
	return max(delay, hedgeFloor), ok
}

// Hedger is an Exchange of which attempts can run beside each other. An Exchange
// that is none is never hedged.
type Hedger interface {
	Exchange
	// Fork gives an attempt that may run on any goroutine.
	Fork() Fork
	// Join takes over the good answer of a fork, for Deliver and what follows. The
	// other forks can no longer reach the client then.
	Join(winner Fork)
	// Drop ends a fork whose Attempt has failed, and keeps its bad answer in case
	// that has to be passed on.
	Drop(failed Fork)
}

// Fork is one of several attempts of an Exchange. It is used by one goroutine at a
// time.
type Fork interface {
	// Attempt is that of an Exchange. Once another fork runs beside it, no interim
	// answer reaches the client.
	Attempt(ctx context.Context, a *Attempt) Outcome
	// Lose follows an Attempt that another one was faster than, however it ended. It
	// closes what that has left open, and tells what it has cost: the class is
	// retry.Canceled.
	Lose() Outcome
}

// hedgeable tells whether an attempt on c may get another one beside it, and after
// how long. A stream that goes on elsewhere may not, nor a request that is to stay
// with its deployment.
func (w *walk) hedgeable(c *selection.Candidate) (delay time.Duration, ok bool) {
	p := &w.target.Pool.Policy.Hedge
	if w.hedges >= p.Max || w.delivered || w.req.NoFallback || !w.hasPeer(c) {
		return 0, false
	}
	return p.delay(c, w.req.Stream)
}

// hasPeer tells whether another deployment is of the same order.
func (w *walk) hasPeer(c *selection.Candidate) bool {
	return slices.ContainsFunc(w.candidates, func(other *selection.Candidate) bool {
		return other != c && other.Order == c.Order
	})
}

// pickBeside takes a deployment for a hedge, which the budget pays for: one of the
// same order that the request has not tried, that does not do nothing but fail,
// and that nobody waits for.
func (w *walk) pickBeside(t *try, first *selection.Candidate) bool {
	p, now := w.target.Pool, time.Now()
	if p.Policy.Queue.Size > 0 && p.Queue.MustWait(now, w.req.Priority) {
		return false
	}
	avoid := append(slices.Clip(w.tried), first)
	for _, c := range w.candidates {
		if c.Order != first.Order || c.Failing(now) {
			avoid = append(avoid, c)
		}
	}
	w.query.Now = now
	defer func() { w.query.Tried = w.tried }()
	for look := range maxLooks {
		w.query.Tried = avoid
		usable := w.query.Filter(w.scratch[:0], w.candidates)
		w.scratch = usable[:0]
		if len(usable) == 0 || look == 0 && !p.Policy.Retry.Budget.Withdraw(now) {
			return false
		}
		c := p.Strategy.Pick(&w.query, usable)
		if c == nil {
			return false
		}
		if w.begin(t, c) {
			return true
		}
		avoid = append(avoid, c)
	}
	return false
}

// learn takes in how long the attempt took, where hedges go by that. Who waited in
// vain knows only that it takes longer.
func (t *try) learn(out Outcome) {
	p := &t.turn.Target.Pool.Policy.Hedge
	if p.Percentile == 0 {
		return
	}
	times := t.turn.Candidate.ContentTimes(t.turn.walk.req.Stream)
	switch {
	case out.FirstToken > 0 && t.good > 0: // a long answer that came whole is good before its end
		times.Add(min(out.FirstToken, t.good))
	case out.FirstToken > 0:
		times.Add(out.FirstToken)
	case out.Class == retry.Canceled, out.Class == retry.Timeout:
		times.AddLate(t.turn.Took, p.Percentile)
	}
}
