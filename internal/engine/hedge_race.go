package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// race is an attempt that is hedged. The attempts run on goroutines of their own,
// which have ended when the race has; everything else happens on the request's.
type race struct {
	walk    *walk
	x       Hedger
	runners []*runner
	running int
	ended   chan *runner // never blocks: no more than two run at once
	winner  *runner

	mu  sync.Mutex
	won bool // guarded by mu: a good answer is there
}

// runner is an attempt in a race.
type runner struct {
	*try
	fork   Fork
	ctx    context.Context
	cancel context.CancelFunc
	beside *runner // of a hedge: who was late
	over   bool    // the request's goroutine has heard of its end

	// What became of it, once it is sent to ended.
	out      Outcome
	at       time.Time // when it ended
	lost     bool      // another one was faster
	unsent   bool      // it was no attempt after all
	usedUp   time.Duration
	panicked any
}

// race makes the attempt that begin has taken a place for, and another one beside
// it when its answer has not begun after delay.
func (w *walk) race(ctx context.Context, x Hedger, delay time.Duration) Outcome {
	began := time.Now()
	r := &race{walk: w, x: x, ended: make(chan *runner, 2)}
	defer r.end()
	out := r.run(ctx, delay)
	w.upstream += time.Since(began)
	return out
}

// run waits for a good answer, which it delivers, or for the last failure.
func (r *race) run(ctx context.Context, delay time.Duration) (out Outcome) {
	alone := r.start(ctx, &r.walk.try)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for r.running > 0 {
		select {
		case <-timer.C:
			r.hedge(ctx, alone)
		case e := <-r.ended:
			r.running--
			e.over = true
			switch {
			case e.panicked != nil:
				panic(e.panicked)
			case e.unsent:
				r.takeBack(e)
			case e.out.Class == retry.None:
				return r.deliver(e)
			default:
				out = e.out
				r.x.Drop(e.fork)
				r.walk.failed(e.try, e.at, out)
				e.end()
				alone = r.leaveAlone(timer)
			}
		}
	}
	return out
}

// start sends an attempt on its way.
func (r *race) start(ctx context.Context, t *try) *runner {
	e := &runner{try: t}
	e.ctx, e.cancel = context.WithCancel(ctx)
	r.runners = append(r.runners, e)
	r.walk.start(t)
	e.fork = r.x.Fork()
	r.running++
	go r.attempt(e)
	return e
}

// hedge sends a second attempt beside the one that is late.
func (r *race) hedge(ctx context.Context, late *runner) {
	t := &try{turn: Attempt{Hedge: true}}
	if ctx.Err() != nil || len(r.ended) > 0 || !r.walk.pickBeside(t, late.turn.Candidate) {
		return
	}
	r.walk.hedges++
	r.start(ctx, t).beside = late
	own := t.turn.Limit == r.walk.limitOf(t.turn.Candidate)
	t.excused = t.excused || !own && t.turn.Limit < late.turn.Limit
}

// leaveAlone sets the timer for an attempt that is alone again, if there is one and
// the request may have another hedge.
func (r *race) leaveAlone(timer *time.Timer) *runner {
	i := slices.IndexFunc(r.runners, func(e *runner) bool { return !e.over })
	if i < 0 {
		return nil
	}
	alone := r.runners[i]
	if delay, ok := r.walk.hedgeable(alone.turn.Candidate); ok {
		timer.Reset(time.Until(alone.began.Add(delay)))
	}
	return alone
}

// attempt runs one attempt, on a goroutine of its own.
func (r *race) attempt(e *runner) {
	defer func() {
		if p := recover(); p != nil { // for the request's goroutine, which somebody watches over
			e.panicked = p
			r.ended <- e
		}
	}()
	if e.turn.Hedge && !e.confirm() {
		r.ended <- e
		return
	}
	e.turn.Candidate.Asked()
	e.out = e.fork.Attempt(e.ctx, &e.turn)
	e.at = time.Now()
	if !r.judge(e) {
		e.lost = true
		// Now, for the answer of the one that won may take long.
		e.out = e.fork.Lose()
		e.lose(e.at, e.out)
		r.ended <- e
	}
}

// judge tells the request's goroutine what came of an attempt, unless another one
// has won.
func (r *race) judge(e *runner) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.won {
		return false
	}
	r.won = e.out.Class == retry.None
	r.ended <- e
	return true
}

// confirm asks the other instances for the hedge's share of the minute. It may take
// a while, in which the answer that is late may come.
func (e *runner) confirm() bool {
	wait, ok := e.reservation.Confirm(e.ctx)
	e.usedUp = wait
	e.unsent = !ok || e.ctx.Err() != nil
	return !e.unsent
}

// takeBack makes a hedge undone that was not sent.
func (r *race) takeBack(e *runner) {
	w := r.walk
	w.attempts--
	w.tries--
	if e.usedUp > 0 {
		w.foundUsedUp(e.turn.Candidate, e.usedUp)
	}
	r.x.Drop(e.fork)
	e.reservation.Cancel()
	e.end()
}

// deliver passes the answer of the winner on, and has the others stop.
func (r *race) deliver(winner *runner) Outcome {
	w := r.walk
	for _, e := range r.runners {
		if e != winner {
			e.cancel()
		}
	}
	r.winner, w.losers = winner, r.running
	winner.turn.Made = w.attempts
	r.x.Join(winner.fork)
	out := w.deliver(winner.ctx, r.x, winner.try)
	winner.end()
	return out
}

// end waits until nothing runs any more, and tells of the losers and the hedges.
func (r *race) end() {
	w := r.walk
	for _, e := range r.runners {
		e.cancel()
	}
	var panicked any
	for ; r.running > 0; r.running-- {
		switch e := <-r.ended; {
		case e.panicked != nil:
			panicked = e.panicked
		case e.unsent:
			r.takeBack(e)
		default:
			if !e.lost { // by a panic that is on its way up
				e.out = e.fork.Lose()
				e.lose(e.at, e.out)
			}
			w.note(e.try, e.out, health.Effect{})
		}
	}
	w.losers = 0
	for _, e := range r.runners {
		e.end()
		if e.beside != nil && !e.unsent && w.router.Observer != nil {
			w.router.Observer.Hedged(&e.turn, &e.beside.turn, e == r.winner)
		}
	}
	if panicked != nil {
		panic(panicked)
	}
}
