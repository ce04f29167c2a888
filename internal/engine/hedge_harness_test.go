package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// racing is an Exchange whose attempts may run beside each other. It follows a
// script by deployment; the last step of one repeats.
type racing struct {
	script  map[string][]step
	deliver func(a *Attempt) // while the client gets the answer
	panics  func(ctx context.Context, id string)
	start   time.Time

	mu     sync.Mutex
	trace  []string // each attempt and when it began, "a@0s"
	forks  int      // neither joined, dropped nor lost
	joined string   // the deployment whose answer was taken
	now    step     // of that
}

func racers(steps map[string][]step) *racing { return &racing{script: steps, start: time.Now()} }

// fork is an attempt of a racing Exchange.
type fork struct {
	x  *racing
	id string
	step
}

func (x *racing) Fork() Fork {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forks++
	return &fork{x: x}
}

func (x *racing) Join(winner Fork) {
	f := winner.(*fork)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forks--
	x.joined, x.now = f.id, f.step
}

func (x *racing) Drop(Fork) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forks--
}

// Attempt is one that nothing may run beside.
func (x *racing) Attempt(ctx context.Context, a *Attempt) Outcome {
	f := &fork{x: x}
	out := f.Attempt(ctx, a)
	x.joined, x.now = f.id, f.step
	return out
}

func (x *racing) Deliver(_ context.Context, a *Attempt) Outcome {
	if x.deliver != nil {
		x.deliver(a)
	}
	return x.now.deliver
}

func (f *fork) Attempt(ctx context.Context, a *Attempt) Outcome {
	f.id = a.Candidate.ID
	f.x.mu.Lock()
	f.x.trace = append(f.x.trace, fmt.Sprintf("%s@%v", f.id, time.Since(f.x.start)))
	if steps := f.x.script[f.id]; len(steps) > 0 {
		f.step = steps[0]
		if len(steps) > 1 {
			f.x.script[f.id] = steps[1:]
		}
	}
	f.x.mu.Unlock()
	if f.x.panics != nil {
		f.x.panics(ctx, f.id)
	}
	switch {
	case !sleep(ctx, min(f.takes, a.Limit)):
		return Outcome{Class: retry.Canceled}
	case f.takes > a.Limit:
		return Outcome{Class: retry.Timeout}
	}
	return f.Outcome
}

// Lose tells what 100 tokens of a prompt have cost.
func (f *fork) Lose() Outcome {
	f.x.mu.Lock()
	defer f.x.mu.Unlock()
	f.x.forks--
	return Outcome{Class: retry.Canceled, Usage: usage.Usage{Input: 100, State: usage.Estimated}}
}

func (x *racing) want(t *testing.T, trace string) {
	t.Helper()
	if got := strings.Join(x.trace, " "); got != trace {
		t.Errorf("attempts %q, want %q", got, trace)
	}
	if x.forks != 0 {
		t.Errorf("%d attempts were neither taken nor given up, want none", x.forks)
	}
}

// after is a step that comes to an outcome of this class in the end.
func after(d time.Duration, class retry.Class) step {
	return step{takes: d, Outcome: Outcome{Class: class}}
}

// good is a step whose answer begins after d.
func good(d time.Duration) step {
	return step{takes: d, deliver: Outcome{Streamed: true, FirstToken: d}}
}

// hedging makes the pool hedge after a second, once per request.
func hedging(p *Pool) *Pool {
	p.Policy.Hedge = HedgePolicy{After: time.Second, Max: 1}
	return p
}
