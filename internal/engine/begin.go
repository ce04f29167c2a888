package engine

import (
	"context"
	"time"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// begin takes what an attempt needs: a place in flight, its share of the
// minute, and the probe where the deployment is on probation, which is no place
// for a hedge.
func (w *walk) begin(t *try, c *selection.Candidate) bool {
	if !c.Acquire() {
		return false
	}
	ticket, ok := c.Cooldown.Begin(w.query.Now)
	if !ok {
		c.Abandon()
		return false
	}
	if t.turn.Hedge && ticket.Probes() {
		ticket.Release()
		c.Abandon()
		return false
	}
	tokens := w.query.TokensOn(c)
	if c.Limiter != nil {
		if t.reservation, ok = c.Limiter.Reserve(w.query.Now, tokens); !ok {
			ticket.Release()
			c.Abandon()
			return false
		}
	}
	t.turn.Candidate, t.ended = c, false
	t.ticket = ticket
	t.mark = c.Headroom.Take(tokens)
	return true
}

// confirm asks the other instances for the request's share of the minute, where
// they keep it together.
func (w *walk) confirm(ctx context.Context, c *selection.Candidate) bool {
	wait, ok := w.try.reservation.Confirm(ctx)
	if !ok {
		w.foundUsedUp(c, wait)
		w.try.end()
	}
	return ok
}

// foundUsedUp takes note of a deployment whose share of the minute the other
// instances have used up for a while.
func (w *walk) foundUsedUp(c *selection.Candidate, wait time.Duration) {
	w.usedUp = append(w.usedUp, selection.UsedUp{Candidate: c, Until: time.Now().Add(wait)})
	w.query.UsedUp = w.usedUp
}
