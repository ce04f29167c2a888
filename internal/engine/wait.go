package engine

import (
	"context"
	"strings"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/queue"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// QueuePolicy bounds how many requests may wait for a pool, and for how long.
// With a Size of 0 nobody waits.
type QueuePolicy struct {
	Size    int
	Timeout time.Duration
}

// mustWait tells whether others have waited for longer, or for something more
// important. One that has been tried already was let in before them.
func (w *walk) mustWait() bool {
	p := w.target.Pool
	return p.Policy.Queue.Size > 0 && w.attempts == 0 && p.Queue.MustWait(time.Now(), w.req.Priority)
}

// waitForPlace waits in the line of the pool that the request began in until one
// of its deployments takes it. False when that cannot be, or took too long. It
// leaves a quarter of the time that remains for the attempt, which would else run
// out of time and be held against its deployment.
func (w *walk) waitForPlace(ctx context.Context) bool {
	pool := w.visited[0]
	if pool.Policy.Queue.Size <= 0 || w.attempts > 0 || w.turnedAway != nil || w.req.Mock != retry.None {
		return false
	}
	w.target, w.candidates, w.query = w.home, pool.For(w.req.Team), w.queryFor(pool)
	began := time.Now()
	left := w.deadline.Sub(began)
	left = min(pool.Policy.Queue.Timeout-w.waited, left-left/4)
	if free, ok := w.placeFree(began); !ok || free > left {
		return false
	}
	for _, c := range w.candidates {
		c.Listen(pool.Queue)
		defer c.Unlisten(pool.Queue)
	}
	out := pool.Queue.Wait(ctx, queue.Entry{
		Priority: w.req.Priority, Team: w.req.Team, Tokens: int64(w.query.Tokens), Kind: w.kind(),
		Size: pool.Policy.Queue.Size, Timeout: left,
		Take: w.takePlace, Next: w.placeFree,
	})
	w.waited += time.Since(began)
	switch out.Result {
	case queue.Taken:
		return true
	case queue.Canceled:
		w.last = Outcome{Class: retry.Canceled}
	default:
		w.turnedAway = &out
	}
	return false
}

// takePlace takes a place for the request; it runs on other goroutines while the
// request waits.
func (w *walk) takePlace() bool {
	c, ok := w.pick()
	w.place = c
	return ok
}

// placeFree tells in how long a deployment may be free, 0 being any moment; false
// when waiting for one is of no use.
func (w *walk) placeFree(now time.Time) (soonest time.Duration, found bool) {
	query := w.query
	query.Now = now
	for _, c := range w.candidates {
		var left time.Duration
		switch query.Check(c) {
		case selection.Usable, selection.Full:
		case selection.Limit:
			left = query.LimitWait(c)
		case selection.CoolingDown:
			left = c.Cooldown.Remaining(now)
		default:
			continue
		}
		if !found || left < soonest {
			soonest, found = left, true
		}
	}
	return soonest, found
}

// kind is what requests have in common that the same deployments can take. How
// large they are is no part of it: a large one that waits for tokens is not to be
// overtaken until it starves.
type kind struct{ team, tags string }

func (w *walk) kind() kind { return kind{w.req.Team, strings.Join(w.req.Tags, ",")} }
