package engine

import (
	"cmp"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// limit is the longest that the next attempt may take, and whether it is the
// client who set it. While there is somewhere else to go it leaves a quarter of
// the time that remains.
func (w *walk) limit(c *selection.Candidate) (limit time.Duration, byClient bool) {
	limit = time.Until(w.deadline)
	if w.hasNext() {
		limit -= limit / 4
	}
	own := w.limitOf(c)
	if client := w.req.FirstToken; w.req.Stream && client > 0 && client < cmp.Or(own, limit) && client < limit {
		return client, true
	}
	if own > 0 && own < limit {
		return own, false
	}
	return limit, w.ownLimit
}

// limitOf is the longest that an attempt on c may take, whatever is left of the
// request's time; 0 is no limit.
func (w *walk) limitOf(c *selection.Candidate) time.Duration {
	p := &w.target.Pool.Policy
	own := cmp.Or(c.Limits.Whole, p.Timeout)
	if w.req.Stream {
		own = cmp.Or(c.Limits.FirstToken, p.FirstToken, own)
	}
	return own
}

// hasNext tells whether another attempt could follow the one about to be made,
// should that run out of time.
func (w *walk) hasNext() bool {
	switch {
	case !w.retrying && w.mayMove() && len(w.candidates) > len(w.tried)+1:
		return true
	case w.retries < w.retriesFor(retry.Timeout):
		return true
	}
	return w.canFallBack(retry.Timeout)
}
