package engine

import (
	"context"
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// choose filters and selects; false when no deployment of the pool may be
// attempted now.
func (w *walk) choose(ctx context.Context) (*selection.Candidate, bool) {
	switch {
	case w.place != nil:
		c := w.place
		w.place = nil
		return c, w.confirm(ctx, c)
	case w.retrying && !w.granted, w.mustWait():
		return nil, false
	case w.retrying:
		w.granted = false
	case w.tries > 0 && !w.mayFailOver():
		return nil, false
	}
	for range maxLooks {
		c, ok := w.pick()
		if !ok {
			return nil, false
		}
		if w.confirm(ctx, c) {
			return c, true
		}
	}
	return nil, false
}

// maxLooks is how often a request looks for a deployment that another one has
// not taken meanwhile; whoever loses that often is better served elsewhere.
const maxLooks = 8

// pick filters and selects, and takes what an attempt on the deployment needs;
// false when there is none.
func (w *walk) pick() (*selection.Candidate, bool) {
	if c := w.draw(); c != nil && w.begin(&w.try, c) {
		return c, true
	}
	for range maxLooks {
		usable := w.usable()
		if len(usable) == 0 {
			return nil, false
		}
		c := w.bound(usable)
		if c == nil {
			c = w.target.Pool.Strategy.Pick(&w.query, usable)
		}
		if c != nil && w.begin(&w.try, c) {
			return c, true
		}
	}
	return nil, false
}

// draw picks for a request that comes into the pool, without looking at all of it; nil
// where that has to be.
func (w *walk) draw() *selection.Candidate {
	p := w.target.Pool
	weighted, ok := p.Strategy.(selection.Weighted) // itself: what embeds it may pick otherwise
	if !ok || w.tries > 0 || p.Sessions != nil {
		return nil
	}
	w.query.Now = time.Now()
	return weighted.Draw(&w.query, w.lots)
}

// usable filters the pool. A retry goes to what has not been tried, else to
// what has not just failed, else to anything.
func (w *walk) usable() []*selection.Candidate {
	w.query.Now, w.query.Tried = time.Now(), w.tried
	if w.tries > 0 && !w.retrying {
		return w.sound()
	}
	usable := w.query.Filter(w.scratch[:0], w.candidates)
	if w.retrying && len(usable) == 0 {
		w.query.Tried = w.tried[len(w.tried)-1:]
		usable = w.query.Filter(usable, w.candidates)
	}
	if w.retrying && len(usable) == 0 {
		w.query.Tried = nil
		usable = w.query.Filter(usable, w.candidates)
	}
	w.scratch = usable[:0]
	return usable
}

// sound filters the pool for a failover. It passes over what has lately done
// nothing but fail; where nothing else is left, a failover there is a gamble that
// the budget pays for. Every request would otherwise go round the whole pool, and
// an outage of all deployments would multiply its own load.
func (w *walk) sound() []*selection.Candidate {
	w.paid = false
	avoid := slices.Clip(w.tried)
	for _, c := range w.candidates {
		if c.Failing(w.query.Now) {
			avoid = append(avoid, c)
		}
	}
	w.query.Tried = avoid
	usable := w.query.Filter(w.scratch[:0], w.candidates)
	w.query.Tried = w.tried
	if len(usable) == 0 && len(avoid) > len(w.tried) {
		usable = w.query.Filter(usable, w.candidates)
		if len(usable) > 0 {
			if w.paid = w.target.Pool.Policy.Retry.Budget.Withdraw(w.query.Now); !w.paid {
				usable = usable[:0]
			}
		}
	}
	w.scratch = usable[:0]
	return usable
}

// mayFailOver tells whether another deployment of the pool may do better.
func (w *walk) mayFailOver() bool {
	switch {
	case !w.mayMove():
		return false
	case w.last.Class == retry.ContextWindow:
		return w.query.AboveWindow > 0
	}
	return w.last.Class.Blames()
}

// mayMove tells whether requests may move on within the pool at all.
func (w *walk) mayMove() bool {
	return w.target.Pool.Policy.Retry.Failover && !w.req.NoFallback
}
