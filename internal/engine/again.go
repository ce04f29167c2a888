package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// again finds another try when the pool has no deployment left for now: a retry
// after a wait, else the next fallback pool, else a place in the queue. False when
// the request is over.
func (w *walk) again(ctx context.Context) bool {
	if wait, ok := w.retryWait(); ok {
		w.retries++
		w.retrying, w.granted = true, true
		began := time.Now()
		stayed := sleep(ctx, wait)
		w.waited += time.Since(began)
		if !stayed {
			w.last = Outcome{Class: retry.Canceled}
			return false
		}
		return true
	}
	from, because := w.target.Pool, w.because()
	if w.mustWait() || !w.moveOn() {
		return w.waitForPlace(ctx)
	}
	if w.router.Observer != nil {
		w.router.Observer.FellBack(from, w.target, because)
	}
	return true
}

// retryWait tells whether the pool may be tried again, and after how long.
func (w *walk) retryWait() (time.Duration, bool) {
	p := &w.target.Pool.Policy.Retry
	if w.tries == 0 || w.retries >= w.retriesFor(w.last.Class) {
		return 0, false
	}
	now := time.Now()
	elsewhere := w.canFallBack(w.last.Class)
	cooling, ok := w.earliest(now, elsewhere)
	if !ok || elsewhere && w.othersOut(now) {
		return 0, false
	}
	wait, bound := p.Backoff.Delay(w.retries, rand.Float64()), p.MaxWait
	if elsewhere {
		bound = p.MaxWaitWithFallback
		if cooling > wait && (!w.last.Stated || cooling > w.last.Wait) {
			return 0, false // nobody asked to wait that long
		}
	}
	wait = max(wait, cooling)
	if wait > bound || !now.Add(wait).Before(w.deadline) || !p.Budget.Withdraw(now) {
		return 0, false
	}
	return wait, true
}

// retriesFor is how many retries the request has in its pool after a failure of
// a class. A client that retries by itself gets none on top, and one that sets
// the number does so where retries are of use.
func (w *walk) retriesFor(class retry.Class) int {
	p := &w.target.Pool.Policy.Retry
	n := p.RetriesFor(class)
	switch {
	case w.req.Repeated:
		return 0
	case w.req.RetriesSet && w.target.Pool == w.visited[0] && class.Passes():
		return w.req.Retries
	}
	return n
}

// earliest is the shortest time until one of the pool's deployments that
// nothing but a cooldown keeps out can be tried. The one that failed last waits
// as long as it asked for, also where that cools nothing; where it is full and
// does not say for how long, a fallback is better.
func (w *walk) earliest(now time.Time, elsewhere bool) (shortest time.Duration, found bool) {
	query := w.query
	query.Now, query.Tried = now, nil
	for _, c := range w.candidates {
		var left time.Duration
		switch query.Check(c) {
		case selection.Usable:
		case selection.CoolingDown:
			left = c.Cooldown.Remaining(now)
		default:
			continue
		}
		if c == w.latest {
			if elsewhere && w.last.Class == retry.RateLimit && !w.last.Stated {
				continue
			}
			left = max(left, w.stated())
		}
		if !found || left < shortest {
			shortest, found = left, true
		}
	}
	return shortest, found
}

// stated is the wait that the last failure asked for; 0 is none.
func (w *walk) stated() time.Duration {
	if w.last.Stated {
		return w.last.Wait
	}
	return 0
}

// othersOut tells whether everything but what failed last was out of selection
// because of its own failures, not all of them in this request. A fallback is
// then better than trying the last one again.
func (w *walk) othersOut(now time.Time) bool {
	query := w.query
	query.Now, query.Tried = now, nil
	untried := false
	for _, c := range w.candidates {
		if c == w.latest {
			continue
		}
		switch reason := query.Check(c); {
		case reason.Lasts():
		case reason == selection.CoolingDown, reason == selection.Unhealthy:
			untried = untried || !slices.Contains(w.tried, c)
		default:
			return false
		}
	}
	return untried
}

// sleep waits; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
