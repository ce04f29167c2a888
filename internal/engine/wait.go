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
// important. One that has been tried already was let in before them, and one that
// makes a failure up does not want the pool's places.
func (w *walk) mustWait() bool {
	home := w.route.Target.Pool
	return home.Policy.Queue.Size > 0 && w.attempts == 0 && w.req.Mock == retry.None && home.Queue.MustWait(time.Now(), w.req.Priority)
}

// waitForPlace waits in the line of the pool that the request began in until a
// deployment of that pool, or of one that it may fall back to, takes it. False when
// that cannot be, or took too long. It leaves a quarter of the time that remains
// for the attempt, which would else run out of time and be held against its
// deployment.
func (w *walk) waitForPlace(ctx context.Context) bool {
	home := w.route.Target.Pool
	policy := &home.Policy.Queue
	if policy.Size <= 0 || w.attempts > 0 || w.turnedAway != nil || w.req.Mock != retry.None {
		return false
	}
	began := time.Now()
	left := w.deadline.Sub(began)
	left = min(policy.Timeout-w.waited, left-left/4)
	rooms := w.rooms()
	if free, ok := soonest(rooms, began); !ok || free > left {
		return false
	}
	for _, r := range rooms {
		for _, c := range r.candidates {
			c.Listen(home.Queue)
			defer c.Unlisten(home.Queue)
		}
	}
	out := home.Queue.Wait(ctx, queue.Entry{
		Priority: w.req.Priority, Team: w.req.Team, Tokens: int64(w.query.Tokens), Kind: w.kind(rooms),
		Size: policy.Size, Timeout: left,
		Take: w.takePlace,
		Next: func(now time.Time) (time.Duration, bool) { return soonest(rooms, now) },
	})
	w.waited += time.Since(began)
	switch out.Result {
	case queue.Taken:
		return true
	case queue.Canceled:
		w.last = Outcome{Class: retry.Canceled}
	default:
		w.turnedAway = &out
		w.rewind() // what the client asked for is what it did not get
	}
	return false
}

// takePlace looks through the pools from the first on and takes a place for the
// request where there is one. It runs on other goroutines while the request waits.
func (w *walk) takePlace() bool {
	w.rewind()
	for {
		if c, ok := w.pick(); ok {
			w.place = c
			return true
		}
		if !w.moveOn() {
			return false
		}
	}
}

// room is a pool in which a request may get a place.
type room struct {
	pool       *Pool
	candidates []*selection.Candidate
	query      selection.Query
}

// rooms are the pools in which the request may get a place: the one that it began
// in, and those that it would fall back to from there.
func (w *walk) rooms() []room {
	w.rewind()
	rooms := []room{w.room()}
	for w.moveOn() {
		rooms = append(rooms, w.room())
	}
	return rooms
}

func (w *walk) room() room { return room{w.target.Pool, w.candidates, w.query} }

// soonest tells in how long a deployment of the rooms may be free, 0 being any
// moment; false when waiting for one is of no use.
func soonest(rooms []room, now time.Time) (soonest time.Duration, found bool) {
	for _, r := range rooms {
		query := r.query
		query.Now = now
		for _, c := range r.candidates {
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
	}
	return soonest, found
}

// kind is what requests have in common that the same deployments can take. How
// large they are is a part of it only as far as context windows go: a large one that
// waits for tokens is not to be overtaken until it starves.
type kind struct {
	team string
	// fits names the pools where the request may get a place, each with a mark for every
	// deployment that the team has there: whether the request can ever have it.
	fits string
}

func (w *walk) kind(rooms []room) kind {
	var fits strings.Builder
	for _, r := range rooms {
		fits.WriteString(r.pool.Name + "\n")
		for _, c := range r.candidates {
			mark := byte('+')
			if r.query.Check(c).Lasts() {
				mark = '-'
			}
			fits.WriteByte(mark)
		}
	}
	return kind{w.req.Team, fits.String()}
}
