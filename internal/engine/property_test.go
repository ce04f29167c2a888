package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// chance is an Exchange whose deployments do anything at all, within the limits
// that they are given.
type chance struct {
	rnd   *rand.Rand
	calls []call
	cuts  int
}

type call struct {
	Attempt
	start time.Time
	out   Outcome
}

func (x *chance) outcome() Outcome {
	if x.rnd.IntN(4) == 0 {
		return Outcome{}
	}
	out := Outcome{Class: retry.Class(x.rnd.IntN(int(retry.NumClasses)))}
	if x.rnd.IntN(3) == 0 {
		out.Stated, out.Wait = true, time.Duration(x.rnd.IntN(90_000)-10)*time.Millisecond
	}
	return out
}

func (x *chance) Attempt(ctx context.Context, a *Attempt) Outcome {
	x.calls = append(x.calls, call{Attempt: *a, start: time.Now()})
	took := time.Duration(0)
	switch x.rnd.IntN(4) {
	case 0:
		took = forever
	case 1:
		took = time.Duration(x.rnd.IntN(5000)) * time.Millisecond
	}
	var out Outcome
	switch {
	case !sleep(ctx, min(took, a.Limit)):
		out.Class = retry.Canceled
	case took > a.Limit:
		out.Class = retry.Timeout
	default:
		out = x.outcome()
	}
	x.calls[len(x.calls)-1].out = out
	return out
}

func (x *chance) Deliver(context.Context, *Attempt) Outcome {
	out := Outcome{}
	if x.rnd.IntN(3) == 0 {
		out = x.outcome()
		out.Final = x.rnd.IntN(2) == 0
	}
	if out.Class != retry.None {
		x.cuts++
	}
	x.calls[len(x.calls)-1].out = out
	return out
}

// randomRouter makes pools of any shape that a configuration could ask for.
func randomRouter(t *testing.T, rnd *rand.Rand) (*Router, []*Pool) {
	pools := make([]*Pool, 1+rnd.IntN(5))
	for i := range pools {
		var candidates []*selection.Candidate
		for j := range 1 + rnd.IntN(5) {
			cfg := health.DefaultConfig()
			cfg.Off, cfg.AllowedFails = rnd.IntN(5) == 0, rnd.IntN(3)-1
			c := &selection.Candidate{
				ID: fmt.Sprint(j), Order: rnd.IntN(3), Weight: float64(rnd.IntN(3)),
				MaxParallel: int64(rnd.IntN(3)), ContextWindow: rnd.IntN(3) * 1000, State: new(selection.State), Cooldown: health.New(cfg),
			}
			if rnd.IntN(4) == 0 {
				c.Limiter = selection.NewLimiter(int64(1+rnd.IntN(4)), 0)
			}
			if rnd.IntN(5) == 0 {
				c.Healthy = func() bool { return false }
			}
			if rnd.IntN(6) == 0 {
				c.Teams = []string{"red"}
			}
			if rnd.IntN(5) == 0 {
				c.Cooldown.Cool(time.Now(), retry.RateLimit, time.Duration(1+rnd.IntN(20))*time.Second)
			}
			candidates = append(candidates, c)
		}
		p := NewPool(fmt.Sprint("p", i), candidates)
		p.Policy = Policy{
			Retry: retry.DefaultPolicy(), Deadline: time.Duration(1+rnd.IntN(120)) * time.Second,
			Timeout: time.Duration(rnd.IntN(30)) * time.Second, HealthPanic: rnd.IntN(2) == 0,
			MaxEjected: rnd.Float64(), MaxFallbacks: rnd.IntN(6),
		}
		p.Policy.Retry.Failover, p.Policy.Retry.Retries = rnd.IntN(4) > 0, rnd.IntN(4)
		if class := retry.Class(rnd.IntN(int(retry.NumClasses))); class.Blames() {
			p.Policy.Retry.ClassRetries[class] = rnd.IntN(4)
		}
		if rnd.IntN(2) == 0 {
			p.Policy.Retry.Budget = retry.NewBudget(20, 1)
		}
		pools[i] = p
	}
	some := func() (list []Target) {
		for range rnd.IntN(4) {
			list = append(list, to(pools[rnd.IntN(len(pools))])...)
		}
		return list
	}
	for _, p := range pools {
		p.Fallback, p.ContextWindow, p.ContentPolicy = some(), some(), some()
	}
	r := newRouter(t, pools...)
	r.Directory.Default = some()
	return r, pools
}

// afterFilter are the pools that may follow a filter that one of the visited
// pools has reported: what their lists for it name, and where those lead on to.
func afterFilter(visited []*Pool) map[*Pool]bool {
	allowed := make(map[*Pool]bool)
	var add func(list []Target)
	add = func(list []Target) {
		for _, t := range list {
			if !allowed[t.Pool] {
				allowed[t.Pool] = true
				add(t.Pool.Fallback)
				add(t.Pool.ContextWindow)
			}
		}
	}
	for _, p := range visited {
		add(p.ContentPolicy)
	}
	return allowed
}

// check holds one request's attempts against what the policy allows.
func check(t *testing.T, req *Request, x *chance, res Result, took time.Duration) {
	t.Helper()
	if res.Attempts != len(x.calls) {
		t.Errorf("result tells %d attempts, want %d", res.Attempts, len(x.calls))
	}
	if res.Class == retry.None && (len(x.calls) == 0 || !res.Delivered) {
		t.Errorf("a good result without an answer: %+v", res)
	}
	if len(x.calls) == 0 {
		return
	}
	first := x.calls[0].start
	var visited []*Pool
	tries := map[*Pool]int{}
	seen := map[*selection.Candidate]int{}
	repeats := map[*Pool]int{}
	filtered := false
	for i, c := range x.calls {
		p := c.Target.Pool
		if len(visited) == 0 || visited[len(visited)-1] != p {
			if slices.Contains(visited, p) {
				t.Errorf("attempt %d: pool %s is entered again", i+1, p.Name)
			}
			if filtered && !afterFilter(visited)[p] {
				t.Errorf("attempt %d: pool %s walks round a filter", i+1, p.Name)
			}
			visited = append(visited, p)
		}
		tries[p]++
		if seen[c.Candidate]++; seen[c.Candidate] > 1 {
			repeats[p]++
		}
		if !slices.Contains(p.For(req.Team), c.Candidate) {
			t.Errorf("attempt %d: deployment %s is not for team %q", i+1, c.Candidate.ID, req.Team)
		}
		if c.Limit <= 0 {
			t.Errorf("attempt %d: limit %v, want some time", i+1, c.Limit)
		}
		if c.Number != i+1 {
			t.Errorf("attempt %d is numbered %d", i+1, c.Number)
		}
		filtered = filtered || c.out.Class == retry.ContentPolicy
		switch last := i == len(x.calls)-1; {
		case last:
		case c.out.Final, c.out.Class == retry.None, c.out.Class == retry.Canceled,
			c.out.Class == retry.BadRequest, c.out.Class == retry.ClientAuth:
			t.Errorf("attempt %d: another follows %+v", i+1, c.out)
		}
	}
	if req.NoFallback && len(tries) > 1 {
		t.Errorf("%d pools were tried with fallback off", len(tries))
	}
	for p, n := range tries {
		retries := 0
		for class := range retry.NumClasses {
			retries = max(retries, p.Policy.Retry.RetriesFor(class))
		}
		if req.Repeated {
			retries = 0
		}
		if bound := len(p.For(req.Team)) + retries; n > bound || repeats[p] > retries {
			t.Errorf("pool %s: %d attempts, %d of them again on the same deployment; want at most %d, %d", p.Name, n, repeats[p], bound, retries)
		}
		if (!p.Policy.Retry.Failover || req.NoFallback) && n > 1+retries {
			t.Errorf("pool %s: %d attempts with failover off, want at most %d", p.Name, n, 1+retries)
		}
	}
	bound := 120 * time.Second * time.Duration(x.cuts)
	if req.Timeout > 0 && req.Timeout < 120*time.Second {
		bound += req.Timeout
	} else {
		bound += 120 * time.Second
	}
	if x.cuts == 0 && res.Fallbacks == 0 {
		bound = min(bound, visited[0].Policy.Deadline)
	}
	if took > bound {
		t.Errorf("took %v since %v, want at most %v", took, first, bound)
	}
}

func TestAnyRequestKeepsToItsPolicy(t *testing.T) {
	rounds := 20000
	if testing.Short() {
		rounds = 200
	}
	attempts, delivered := 0, 0
	for seed := range rounds {
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(uint64(seed), 1))
				r, pools := randomRouter(t, rnd)
				r.Observer = new(quiet)
				var wg sync.WaitGroup
				var mu sync.Mutex
				for range 1 + rnd.IntN(6) {
					req := &Request{
						Model: pools[rnd.IntN(len(pools))].Name, Stream: rnd.IntN(2) == 0,
						NoFallback: rnd.IntN(8) == 0, Repeated: rnd.IntN(4) == 0,
					}
					if rnd.IntN(8) == 0 {
						req.Model = "unknown"
					}
					if rnd.IntN(3) == 0 {
						req.Team = "red"
					}
					if rnd.IntN(3) == 0 {
						req.Timeout = time.Duration(1+rnd.IntN(60)) * time.Second
					}
					ctx, cancel := context.WithCancel(t.Context())
					if rnd.IntN(5) == 0 {
						ctx, cancel = context.WithTimeout(t.Context(), time.Duration(rnd.IntN(20))*time.Second)
					}
					defer cancel()
					x := &chance{rnd: rand.New(rand.NewPCG(rnd.Uint64(), 2))}
					wg.Go(func() {
						start := time.Now()
						res := serve(ctx, r, req, x)
						mu.Lock()
						defer mu.Unlock()
						check(t, req, x, res, time.Since(start))
						attempts += len(x.calls)
						if res.Delivered {
							delivered++
						}
						if res.Fallbacks > 5 {
							t.Errorf("%d fallbacks, want at most 5", res.Fallbacks)
						}
					})
				}
				wg.Wait()
				idle(t, pools...)
				for _, p := range pools {
					for _, c := range p.All() {
						if c.Cooldown.State(time.Now()) == health.Probing {
							t.Errorf("%s/%s is still probed", p.Name, c.ID)
						}
					}
				}
			})
		})
		if !ok {
			break // one is enough to look at
		}
	}
	if attempts < rounds || delivered < rounds/4 {
		t.Errorf("%d attempts, %d deliveries in %d rounds: too few to say anything", attempts, delivered, rounds)
	}
}

// quiet is an Observer that says nothing.
type quiet struct{}

func (*quiet) Attempted(*Attempt, Outcome, health.Effect) {}
func (*quiet) FellBack(*Pool, Target, retry.Class)        {}
func (*quiet) Hedged(*Attempt, *Attempt, bool)            {}
