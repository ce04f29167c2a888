package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// attempt makes one round trip, judges it, and delivers its answer when it is
// good.
func (w *walk) attempt(ctx context.Context, x Exchange, c *selection.Candidate) Outcome {
	defer c.Release()
	defer w.reservation.Keep() // as estimated, where nothing better is known
	w.carry(c)
	defer w.carried.End()
	c.Asked()
	began := time.Now()
	if w.tries == 0 {
		w.target.Pool.Policy.Retry.Budget.Deposit(began)
	}
	w.tries++
	w.attempts++
	limit, byClient := w.limit(c)
	w.turn = Attempt{
		Target: w.target, Candidate: c,
		Limit: limit, Idle: cmp.Or(c.Limits.Idle, w.target.Pool.Policy.Idle), Resume: w.target.Pool.Policy.Resume,
		Number: w.attempts, Fallbacks: w.fallbacks,
		walk: w,
	}
	w.recovered = false
	defer w.ticket.Release() // for a panic on its way up; settled otherwise

	out := x.Attempt(ctx, &w.turn)
	if out.Class != retry.None {
		w.settle(c, began, out, out.Blameless || out.Final && w.delivered || out.Class == retry.Timeout && byClient)
		w.delivered = w.delivered || out.Final
		return out
	}
	if said := w.turn.Headroom; said.Requests.Known || said.Tokens.Known {
		c.Headroom.Believe(time.Now(), w.mark, said)
	}
	w.answered()
	w.delivered = true
	out = x.Deliver(ctx, &w.turn)
	w.settle(c, began, out, false)
	if out.Class != retry.None { // the time for going on elsewhere
		w.deadline, w.ownLimit = time.Now().Add(w.target.Pool.Policy.Deadline), false
	}
	return out
}

// answered tells the deployment that its answer is good, as far as it goes. The
// other instances need not wait for the end of a long stream to know.
func (w *walk) answered() {
	w.turn.Candidate.Answered()
	w.carried.Answered()
	w.keepSession()
	if w.ticket.Probes() && w.ticket.Answered(time.Now()) {
		w.recovered = true
		w.turn.Candidate.Tell(retry.None, health.Effect{Recovered: true})
	}
}

// settle tells the deployment's cooldown and the observer what the attempt came
// to. A blameless failure, such as running into a limit that the client set,
// counts for nothing.
func (w *walk) settle(c *selection.Candidate, began time.Time, out Outcome, blameless bool) {
	now := time.Now()
	w.turn.Took = now.Sub(began)
	w.upstream += w.turn.Took
	w.account(began, out)
	var effect health.Effect
	switch {
	case out.Class == retry.None:
		effect.Recovered = w.ticket.Succeed(now)
	case out.Class == retry.Canceled, blameless:
		w.ticket.Release()
	default:
		if out.Class.Blames() {
			c.Failed(now)
		}
		effect = w.fail(c, now, out)
	}
	c.Tell(out.Class, effect)
	effect.Recovered = effect.Recovered || w.recovered
	w.time(c, now, out, blameless)
	w.remember(c, out)
	if w.router.Observer != nil {
		w.router.Observer.Attempted(&w.turn, out, effect)
	}
}

// fail settles a failure that is the deployment's own. One at a time in a pool,
// or two that fail together would each take the other for the one that stays.
func (w *walk) fail(c *selection.Candidate, now time.Time, out Outcome) health.Effect {
	p := w.target.Pool
	if w.tries > 1 && !w.retrying && !w.paid { // a failover that did not help costs what a retry does
		p.Policy.Retry.Budget.Charge(now)
	}
	p.failing.Lock()
	defer p.failing.Unlock()
	return w.ticket.Fail(now, health.Failure{
		Class: out.Class, Wait: out.Wait, Stated: out.Stated,
		Spare: func() bool { return w.spare(c, now) },
	})
}

// remember keeps what the next decision needs.
func (w *walk) remember(c *selection.Candidate, out Outcome) {
	w.last = out
	if i := slices.Index(w.tried, c); i >= 0 {
		w.tried = slices.Delete(w.tried, i, i+1)
	}
	w.tried = append(w.tried, c)
	if w.req.NoFallback { // what is tried again is the same deployment
		w.candidates = w.tried
	}
	switch out.Class {
	case retry.ContextWindow:
		w.query.AboveWindow = max(w.query.AboveWindow, c.ContextWindow)
		w.query.KnownWindow = true
	case retry.ContentPolicy:
		w.filteredBy = w.target.Pool
	}
}
