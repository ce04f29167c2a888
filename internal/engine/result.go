package engine

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// result sums the request up.
func (w *walk) result() Result {
	cost, costKnown := w.bill.cost()
	res := Result{
		Class: w.last.Class, Pool: w.target.Pool,
		Attempts: w.attempts, Fallbacks: w.fallbacks, Delivered: w.delivered,
		Candidate: w.latest, Tried: w.latestIn,
		Took: time.Since(w.began), Upstream: w.upstream, Waited: w.waited,
		FirstToken: w.firstToken, Usage: w.bill.sum(),
		Cost: cost, CostKnown: costKnown, Affinity: w.affinity,
	}
	if w.attempts > 0 && w.last.Class == retry.None || w.last.Class == retry.Canceled {
		return res
	}
	var hopeless retry.Class
	res.Wait, res.Limited, res.Unavailable, hopeless = w.wait(time.Now())
	if w.turnedAway != nil {
		res.Class, res.Limited, res.Unavailable = retry.RateLimit, true, true
		res.Wait = max(res.Wait, w.turnedAway.Predicted)
		return res
	}
	if w.attempts == 0 && w.req.Mock == retry.None {
		res.Class = w.untried(res.Limited, res.Unavailable, hopeless)
	}
	if res.Class == retry.NotFound && w.attempts == 0 {
		w.outForGood(&res)
	}
	res.Unavailable = res.Unavailable && w.tries == 0
	return res
}

// untried is the class of a request that no deployment was tried for.
func (w *walk) untried(limited, blocked bool, hopeless retry.Class) retry.Class {
	switch {
	case hopeless != retry.None:
		return hopeless
	case limited:
		return retry.RateLimit
	case blocked:
		return retry.Overloaded
	}
	return retry.NotFound // it leaves nothing, now or later
}

// outForGood finds what of the request it is that no deployment of its pools can
// serve. That it is too long comes first: it is what its client can mend.
func (w *walk) outForGood(res *Result) {
	for _, pool := range w.visited {
		query := w.queryFor(pool)
		for _, c := range pool.For(w.req.Team) {
			reason := query.Check(c)
			res.Out = max(res.Out, reason)
			if reason == selection.ContextWindow && (res.Largest == nil || query.Size.MoreRoom(c, res.Largest)) {
				res.Largest = c
			}
		}
	}
	if res.Out == selection.ContextWindow {
		res.Class = retry.ContextWindow
	}
}

// wait is the shortest time until any deployment of the request's pools could
// serve it, 0 being unknown; whether nothing but limits, capacity and rate
// limits is in the way; whether anything is that may pass; and, where every
// deployment is out for a reason that waiting does not mend, such as an empty
// account, which.
func (w *walk) wait(now time.Time) (shortest time.Duration, limited, blocked bool, hopeless retry.Class) {
	limited = true
	mends := false
	soon := false // something may be free at any moment
	for _, pool := range w.visited {
		query := w.queryFor(pool)
		query.Now = now
		for _, c := range pool.For(w.req.Team) {
			var left time.Duration
			switch query.Check(c) {
			case selection.Tags, selection.Region, selection.MaxOutput, selection.ContextWindow:
				continue
			case selection.Unhealthy:
				blocked, limited, mends = true, false, true
				continue
			case selection.Usable:
				switch {
				case w.attempts == 0: // it has come free since
					blocked, mends = true, true
				case !retry.ShouldRetry(w.last.Class):
					continue // what has failed for good is of no use later either
				case c == w.latest:
					left = w.stated()
				}
			case selection.CoolingDown:
				blocked = true
				left = c.Cooldown.Remaining(now)
				reason := c.Cooldown.Reason()
				limited = limited && (reason == retry.RateLimit || reason == retry.Quota)
				if retry.ShouldRetry(reason) {
					mends = true
				} else {
					hopeless = reason
				}
			case selection.Limit:
				blocked, mends = true, true
				left = query.LimitWait(c)
			case selection.Full:
				blocked, mends = true, true
			}
			if left <= 0 {
				soon = true
			} else if shortest == 0 || left < shortest {
				shortest = left
			}
		}
	}
	if soon {
		shortest = 0
	}
	if mends {
		hopeless = retry.None
	}
	return shortest, limited && blocked, blocked, hopeless
}
