package engine

import (
	"context"
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// attempt makes one round trip, judges it, and delivers its answer when it is
// good. Where the pool hedges there may be a second beside it.
func (w *walk) attempt(ctx context.Context, x Exchange, c *selection.Candidate) Outcome {
	if delay, ok := w.hedgeable(c); ok {
		if h, ok := x.(Hedger); ok {
			return w.race(ctx, h, delay)
		}
	}
	t := &w.try
	defer t.end()
	w.start(t)
	c.Asked()
	out := x.Attempt(ctx, &t.turn)
	if out.Class == retry.None {
		out = w.deliver(ctx, x, t)
	} else {
		w.failed(t, time.Now(), out)
	}
	w.upstream += t.turn.Took
	return out
}

// deliver passes the good answer of an attempt on to the client.
func (w *walk) deliver(ctx context.Context, x Exchange, t *try) Outcome {
	if said := t.turn.Headroom; said.Requests.Known || said.Tokens.Known {
		t.turn.Candidate.Headroom.Believe(time.Now(), t.mark, said)
	}
	if w.target.Pool.Policy.Hedge.Percentile > 0 {
		t.good = time.Since(t.began)
	}
	w.answered(t)
	w.delivered = true
	out := x.Deliver(ctx, &t.turn)
	w.settle(t, time.Now(), out, false)
	if out.Class != retry.None { // the time for going on elsewhere
		w.deadline, w.ownLimit = time.Now().Add(w.target.Pool.Policy.Deadline), false
	}
	return out
}

// answered tells the deployment that its answer is good, as far as it goes. The
// other instances need not wait for the end of a long stream to know.
func (w *walk) answered(t *try) {
	t.turn.Candidate.Answered()
	t.carried.Answered()
	w.keepSession(t)
	if t.ticket.Probes() && t.ticket.Answered(time.Now()) {
		t.recovered = true
		t.turn.Candidate.Tell(retry.None, health.Effect{Recovered: true})
	}
}

// failed settles an attempt without a good answer.
func (w *walk) failed(t *try, now time.Time, out Outcome) {
	w.settle(t, now, out, out.Blameless || out.Final && w.delivered || out.Class == retry.Timeout && t.excused)
	w.delivered = w.delivered || out.Final
}

// settle tells the deployment's cooldown and the observer what the attempt came
// to. A blameless failure, such as running into a limit that the client set,
// counts for nothing.
func (w *walk) settle(t *try, now time.Time, out Outcome, blameless bool) {
	t.turn.Took = now.Sub(t.began)
	t.account(out)
	c := t.turn.Candidate
	var effect health.Effect
	switch {
	case out.Class == retry.None:
		effect.Recovered = t.ticket.Succeed(now)
	case out.Class == retry.Canceled, blameless:
		t.ticket.Release()
	default:
		if out.Class.Blames() {
			c.Failed(now)
		}
		effect = w.fail(t, now, out)
	}
	c.Tell(out.Class, effect)
	effect.Recovered = effect.Recovered || t.recovered
	t.time(now, out, blameless)
	t.learn(out)
	w.remember(c, out)
	w.note(t, out, effect)
}

// fail settles a failure that is the deployment's own. One at a time in a pool,
// or two that fail together would each take the other for the one that stays.
func (w *walk) fail(t *try, now time.Time, out Outcome) health.Effect {
	p := w.target.Pool
	if t.unpaid { // a failover that did not help costs what a retry does
		p.Policy.Retry.Budget.Charge(now)
	}
	p.failing.Lock()
	defer p.failing.Unlock()
	return t.ticket.Fail(now, health.Failure{
		Class: out.Class, Wait: out.Wait, Stated: out.Stated,
		Spare: func() bool { return w.spare(t.turn.Candidate, out.Class, now) },
	})
}

// remember keeps what the next decision needs.
func (w *walk) remember(c *selection.Candidate, out Outcome) {
	w.last, w.latest, w.latestIn = out, c, w.target.Pool
	if i := slices.Index(w.tried, c); i >= 0 {
		w.tried = slices.Delete(w.tried, i, i+1)
	}
	w.tried = append(w.tried, c)
	if w.req.NoFallback { // what is tried again is the same deployment
		w.candidates = w.tried
	}
	switch out.Class {
	case retry.ContextWindow:
		w.query.AboveWindow = max(w.query.AboveWindow, c.Window())
		w.query.KnownWindow = true
	case retry.ContentPolicy:
		w.filteredBy = w.target.Pool
	}
}

// note puts an attempt that has ended on the bill, and tells the observer.
func (w *walk) note(t *try, out Outcome, effect health.Effect) {
	w.account(t, out)
	if w.router.Observer != nil {
		w.router.Observer.Attempted(&t.turn, out, effect)
	}
}
