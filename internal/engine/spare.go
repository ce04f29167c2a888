package engine

import (
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// spare tells whether counts, or a rate limit that states no wait, may cool c: not
// when a team would be left without a usable deployment and without a fallback, and
// counts not beyond the share of c's order that may be out at once.
func (w *walk) spare(c *selection.Candidate, class retry.Class, now time.Time) bool {
	teams := c.Teams
	if len(teams) == 0 {
		teams = []string{w.req.Team}
	}
	for _, team := range teams {
		if w.lastFor(team, c, now) && !w.hasFallback(team) {
			return false
		}
	}
	if class == retry.RateLimit {
		return true
	}
	peers, out := 0, 0
	for _, other := range w.target.Pool.For(w.req.Team) {
		if other.Order != c.Order {
			continue
		}
		peers++
		if other != c && !sound(other, now) {
			out++
		}
	}
	share := w.target.Pool.Policy.MaxEjected * float64(peers)
	return out == 0 || float64(out+1) <= share+1e-9 // a share like 29% of 100 comes out just below 29
}

// lastFor tells whether c is the last usable deployment that a team has.
func (w *walk) lastFor(team string, c *selection.Candidate, now time.Time) bool {
	return !slices.ContainsFunc(w.target.Pool.For(team), func(other *selection.Candidate) bool {
		return other != c && sound(other, now)
	})
}

// sound tells whether neither its failures nor health checks keep a deployment out.
func sound(c *selection.Candidate, now time.Time) bool {
	return c.Cooldown.Usable(now) && (c.Healthy == nil || c.Healthy())
}

// hasFallback tells whether the pool itself has anywhere to go for a team,
// however far this request has come.
func (w *walk) hasFallback(team string) bool {
	p := w.target.Pool
	list := p.Fallback
	if len(list) == 0 {
		list = w.router.Directory.Default
	}
	return p.Policy.MaxFallbacks > 0 && slices.ContainsFunc(list, func(t Target) bool {
		return t.Pool != p && t.Pool.Serves(team)
	})
}
