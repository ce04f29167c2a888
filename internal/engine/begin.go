package engine

import (
	"context"
	"time"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// begin takes what an attempt needs: a place in flight, its share of the
// minute, and the probe where the deployment is on probation.
func (w *walk) begin(c *selection.Candidate) bool {
	if !c.Acquire() {
		return false
	}
	ticket, ok := c.Cooldown.Begin(w.query.Now)
	if !ok {
		c.Abandon()
		return false
	}
	tokens := w.query.TokensOn(c)
	if c.Limiter != nil {
		if w.reservation, ok = c.Limiter.Reserve(w.query.Now, tokens); !ok {
			ticket.Release()
			c.Abandon()
			return false
		}
	}
	w.ticket = ticket
	w.mark = c.Headroom.Take(tokens)
	return true
}

// confirm asks the other instances for the request's share of the minute, where
// they keep it together.
func (w *walk) confirm(ctx context.Context, c *selection.Candidate) bool {
	wait, ok := w.reservation.Confirm(ctx)
	if !ok {
		w.usedUp = append(w.usedUp, selection.UsedUp{Candidate: c, Until: time.Now().Add(wait)})
		w.query.UsedUp = w.usedUp
		w.ticket.Release()
		c.Release()
	}
	return ok
}
