package llmrouter

import (
	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// countAttempt takes an attempt into the metrics.
func countAttempt(a *engine.Attempt, out *engine.Outcome, effect health.Effect) {
	c := upstreams.DeploymentOf(a.Candidate).Counters()
	c.Attempted(out.Class)
	if effect.Cooled {
		c.Cooled(out.Class)
	}
	switch {
	case out.Streamed && out.Class == retry.None:
		c.Streamed(out.FirstToken, engine.PerToken(a.Took, *out))
	case out.Streamed: // what an estimate says of its tokens is not worth measuring
		c.Streamed(out.FirstToken, 0)
	}
	u := &out.Usage
	c.Used(metrics.Tokens{Input: u.Input, Output: u.Output, Cached: u.Cached, Reasoning: u.Reasoning})
	if price := a.Candidate.Price; price != nil {
		c.Cost(price.Cost(u.Input, u.Cached, u.Output))
	}
	c.Dropped(out.Dropped)
}

// countRequest takes the end of a request into the metrics: of the deployment that
// was tried last, or of the pool where none was.
func countRequest(res *engine.Result) {
	overhead := res.Took - res.Upstream - res.Waited
	if res.Candidate == nil {
		c := upstreams.CountersOf(res.Pool)
		c.Untried(res.Class, res.Took)
		c.Overhead(overhead)
		return
	}
	c := upstreams.DeploymentOf(res.Candidate).Counters()
	c.Ended(res.Class, res.Took)
	c.Affinity(res.Affinity)
	c.Overhead(overhead)
}

// expectFallbacks puts the fallbacks of the config on the page of the metrics
// before a request takes them.
func (h *Handler) expectFallbacks() {
	for _, pool := range h.Pools {
		e := pool.Engine()
		general := e.Fallback
		if len(general) == 0 {
			general = h.router.Directory.Default
		}
		for _, list := range [][]engine.Target{general, e.ContextWindow, e.ContentPolicy} {
			for _, to := range list {
				if to.Pool != e {
					upstreams.CountersOf(e).FallsBackTo(upstreams.CountersOf(to.Pool))
				}
			}
		}
	}
}
