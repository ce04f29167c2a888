package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// instant is an Exchange that succeeds at once, but for the first fail attempts
// of a request.
type instant struct {
	fail, made int
}

func (x *instant) Attempt(context.Context, *Attempt) Outcome {
	if x.made++; x.made <= x.fail {
		return Outcome{Class: retry.ServerError}
	}
	return Outcome{}
}

func (x *instant) Deliver(context.Context, *Attempt) Outcome { return Outcome{} }

func benchRouter(t testing.TB, n int) *Router {
	var candidates []*selection.Candidate
	for i := range n {
		// Failures never cool, so that every round is alike.
		cfg := health.DefaultConfig()
		cfg.FailureRate = 1
		candidates = append(candidates, &selection.Candidate{
			ID: fmt.Sprint(i), Order: 1, Weight: 1, MaxParallel: 1000, State: new(selection.State), Cooldown: health.New(cfg),
			Limiter: selection.NewLimiter(1<<40, 1<<50),
		})
	}
	m, f := NewPool("m", candidates), newPool("f", deployment("a"))
	m.Policy = f.Policy
	m.Policy.Retry.Budget = retry.NewBudget(20, 3)
	m.Fallback = to(f)
	return newRouter(t, m, f)
}

// What the engine adds to a request whose round trip costs nothing.
func BenchmarkServe(b *testing.B) {
	for _, n := range []int{1, 2, 10, 100} {
		for _, fail := range []int{0, 1} {
			if fail >= n {
				continue
			}
			b.Run(fmt.Sprintf("%d deployments, %d failing", n, fail), func(b *testing.B) {
				r, req := benchRouter(b, n), &Request{Model: "m", PromptTokens: 100}
				x := &instant{fail: fail}
				ctx := context.Background()
				b.ReportAllocs()
				for b.Loop() {
					x.made = 0
					if res := serve(ctx, r, req, x); res.Class != retry.None {
						b.Fatal(res.Class)
					}
				}
			})
		}
	}
}

func BenchmarkServeParallel(b *testing.B) {
	r, req := benchRouter(b, 10), &Request{Model: "m", PromptTokens: 100}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x, ctx := new(instant), context.Background()
		for pb.Next() {
			serve(ctx, r, req, x)
		}
	})
}

// instantly is an instant Exchange of which attempts can run beside each other.
type instantly struct{ instant }

func (x *instantly) Fork() Fork  { return x }
func (*instantly) Join(Fork)     {}
func (*instantly) Drop(Fork)     {}
func (*instantly) Lose() Outcome { return Outcome{} }

// What it costs to be ready to hedge, where every answer is in time.
func BenchmarkServeHedging(b *testing.B) {
	r, req := benchRouter(b, 10), &Request{Model: "m", PromptTokens: 100}
	target, _ := r.Directory.ResolveFor("m", "")
	target.Pool.Policy.Hedge = HedgePolicy{After: time.Second, Max: 1}
	x, ctx := new(instantly), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if res := serve(ctx, r, req, x); res.Class != retry.None {
			b.Fatal(res.Class)
		}
	}
}

func TestServeAllocatesNothing(t *testing.T) {
	r, req := benchRouter(t, 10), &Request{Model: "m", Tags: []string{"x"}, Timeout: time.Minute}
	x := new(instant)
	ctx := context.Background()
	if n := testing.AllocsPerRun(1000, func() { serve(ctx, r, req, x) }); n > 0 && !raceEnabled {
		t.Errorf("%v allocations for a request, want 0", n)
	}
}
