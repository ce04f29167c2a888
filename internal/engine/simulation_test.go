package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// machine is a simulated model server: how long it takes, how often it fails,
// and when it is out altogether.
type machine struct {
	sound   bool // never fails
	slowest time.Duration
	rate    float64 // of failures between outages
	class   retry.Class
	outages []outage
	states  bool // a failure says how long to wait
}

type outage struct {
	from, to time.Time
	class    retry.Class
}

func (m *machine) answer(at time.Time, rnd *rand.Rand) (out Outcome) {
	if m.sound {
		return out
	}
	for _, o := range m.outages {
		if !at.Before(o.from) && at.Before(o.to) {
			out.Class = o.class
		}
	}
	if out.Class == retry.None && rnd.Float64() < m.rate {
		out.Class = m.class
	}
	if out.Class != retry.None && m.states && rnd.IntN(2) == 0 {
		out.Stated, out.Wait = true, time.Duration(rnd.IntN(60_000))*time.Millisecond
	}
	return out
}

// simulated is one request's Exchange. It keeps what check has to know.
type simulated struct {
	rnd    *rand.Rand
	way    []*selection.Candidate // of each attempt
	pools  []*Pool
	number []int
	ends   []Outcome
	cuts   int
}

func (x *simulated) Attempt(ctx context.Context, a *Attempt) (out Outcome) {
	m := a.Candidate.Upstream.(*machine)
	took := time.Duration(0)
	if x.rnd.IntN(2) == 0 {
		took = time.Duration(x.rnd.Int64N(int64(m.slowest)))
	}
	arrived := time.Now()
	switch {
	case !sleep(ctx, min(took, a.Limit)):
		out.Class = retry.Canceled
	case took > a.Limit:
		out.Class = retry.Timeout
	default:
		out = m.answer(arrived, x.rnd)
	}
	x.way, x.pools = append(x.way, a.Candidate), append(x.pools, a.Target.Pool)
	x.number, x.ends = append(x.number, a.Number), append(x.ends, out)
	return out
}

func (x *simulated) Deliver(_ context.Context, a *Attempt) (out Outcome) {
	if !a.Candidate.Upstream.(*machine).sound && x.rnd.IntN(200) == 0 {
		out = Outcome{Class: retry.Connection, Final: x.rnd.IntN(2) == 0}
		x.ends[len(x.ends)-1] = out
		x.cuts++
	}
	return out
}

// world is a router with its pools, and what its requests came to.
type world struct {
	router *Router
	pools  []*Pool
	sound  map[*Pool]bool // has a deployment that never fails
	spared map[*Pool]bool // has no fallback and nothing but failures that count

	requests, served, failovers, retries, fallbacks, cooldowns, promised atomic.Int64
}

func (w *world) Attempted(a *Attempt, out Outcome, effect health.Effect) {
	if effect.Cooled {
		w.cooldowns.Add(1)
	}
}

func (w *world) Hedged(*Attempt, *Attempt, bool) {}

func (w *world) FellBack(*Pool, Target, retry.Class) { w.fallbacks.Add(1) }

// blaming and counting are the classes that simulated machines fail with:
// the second are those that cool by counts alone.
var (
	counting = []retry.Class{retry.Connection, retry.Timeout, retry.Overloaded, retry.ServerError}
	blaming  = append([]retry.Class{retry.RateLimit, retry.Quota, retry.Auth, retry.NotFound}, counting...)
	anything = append([]retry.Class{retry.BadRequest, retry.ContentPolicy, retry.ContextWindow, retry.ClientAuth}, blaming...)
)

func one[T any](rnd *rand.Rand, of []T) T { return of[rnd.IntN(len(of))] }

// newWorld makes pools of any shape, with machines that go out for a while
// during the time that the world lasts.
func newWorld(t *testing.T, rnd *rand.Rand, lasts time.Duration) *world {
	w := &world{sound: make(map[*Pool]bool), spared: make(map[*Pool]bool)}
	for i := range 1 + rnd.IntN(4) {
		classes := [][]retry.Class{counting, blaming, anything}[rnd.IntN(3)]
		states := rnd.IntN(2) == 0
		cfg := health.DefaultConfig()
		cfg.Off, cfg.AllowedFails = rnd.IntN(8) == 0, []int{-1, -1, 0, 3}[rnd.IntN(4)]
		cfg.SlowStart = time.Duration(rnd.IntN(2)) * 5 * time.Second
		var candidates []*selection.Candidate
		sound := rnd.IntN(2) == 0
		n := 1 + rnd.IntN(5)
		for j := range n {
			m := &machine{
				sound: sound && j == n-1, slowest: time.Duration(1+rnd.IntN(2000)) * time.Millisecond,
				rate: []float64{0, 0.01, 0.3, 0.9}[rnd.IntN(4)], class: one(rnd, classes), states: states,
			}
			for range rnd.IntN(4) {
				from := time.Now().Add(time.Duration(rnd.Int64N(int64(lasts))))
				m.outages = append(m.outages, outage{from, from.Add(time.Duration(rnd.Int64N(int64(lasts / 3)))), one(rnd, classes)})
			}
			c := &selection.Candidate{
				ID: fmt.Sprint(j), Order: 1 + rnd.IntN(3), Weight: float64(rnd.IntN(4)),
				State: new(selection.State), Cooldown: health.New(cfg), Upstream: m,
			}
			if !m.sound && rnd.IntN(4) == 0 {
				c.MaxParallel = int64(1 + rnd.IntN(20))
			}
			if !m.sound && rnd.IntN(4) == 0 {
				c.Limiter = selection.NewLimiter(int64(50+rnd.IntN(2000)), 0)
			}
			candidates = append(candidates, c)
		}
		p := NewPool(fmt.Sprint("p", i), candidates)
		p.Policy = Policy{
			Retry: retry.DefaultPolicy(), Deadline: time.Duration(20+rnd.IntN(100)) * time.Second,
			MaxEjected: []float64{1, 1, 0.5}[rnd.IntN(3)], MaxFallbacks: rnd.IntN(6),
		}
		p.Policy.Retry.Failover, p.Policy.Retry.Retries = rnd.IntN(6) > 0, rnd.IntN(4)
		if rnd.IntN(4) > 0 {
			p.Policy.Retry.Budget = retry.NewBudget(20, float64(rnd.IntN(4)))
		}
		w.sound[p] = sound && p.Policy.Retry.Failover
		w.spared[p] = len(classes) == len(counting) && !states
		w.pools = append(w.pools, p)
	}
	for _, p := range w.pools {
		for range rnd.IntN(3) {
			p.Fallback = append(p.Fallback, to(one(rnd, w.pools))...)
		}
		w.spared[p] = w.spared[p] && len(p.Fallback) == 0
	}
	w.router = newRouter(t, w.pools...)
	w.router.Observer = w
	return w
}

// check holds a request that has ended against its pools' policies.
func (w *world) check(t *testing.T, x *simulated, first *Pool, canceled bool, res Result, took time.Duration) {
	t.Helper()
	if res.Attempts != len(x.way) {
		t.Errorf("result tells %d attempts, want %d", res.Attempts, len(x.way))
	}
	if res.Fallbacks > first.Policy.MaxFallbacks {
		t.Errorf("%d fallbacks, want at most %d", res.Fallbacks, first.Policy.MaxFallbacks)
	}
	blamed := true
	for i := 0; i < len(x.way); {
		p := x.pools[i]
		j := i
		for j < len(x.way) && x.pools[j] == p {
			blamed = blamed && x.ends[j].Class.Blames() || x.ends[j].Class == retry.None
			j++
		}
		w.checkPool(t, p, x.way[i:j])
		if slices.Contains(x.pools[j:], p) {
			t.Errorf("pool %s is entered again", p.Name)
		}
		i = j
	}
	// Each delivery that broke begins a deadline anew, of whatever pool it was in.
	if bound := first.Policy.Deadline + 2*time.Minute*time.Duration(x.cuts); took > bound {
		t.Errorf("took %v, want at most %v", took, bound)
	}
	switch {
	case res.Class == retry.None:
		w.served.Add(1)
	case w.sound[first] && blamed && x.cuts == 0 && !canceled:
		t.Errorf("class %v after %d attempts in a pool with a deployment that never fails, want its answer", res.Class, len(x.way))
	}
	if w.sound[first] {
		w.promised.Add(1)
	}
	if w.spared[first] && !slices.ContainsFunc(first.All(), func(c *selection.Candidate) bool {
		return c.Cooldown.State(time.Now()) != health.Cooling
	}) {
		t.Errorf("counts have cooled every deployment of pool %s, which has no fallback", first.Name)
	}
}

// checkPool checks the attempts of one stay in a pool. The first deployment that
// comes a second time tells that retries have begun: from there on each attempt
// is one.
func (w *world) checkPool(t *testing.T, p *Pool, way []*selection.Candidate) {
	t.Helper()
	retries := 0
	for class := range retry.NumClasses {
		retries = max(retries, p.Policy.Retry.RetriesFor(class))
	}
	again := len(way)
	for i, c := range way {
		if slices.Contains(way[:i], c) {
			again = i
			break
		}
	}
	if n := len(way) - again; n > retries {
		t.Errorf("pool %s: %d attempts from the first repeated one on, want at most the %d retries", p.Name, n, retries)
	}
	if most := len(p.All()) + retries; len(way) > most {
		t.Errorf("pool %s: %d attempts, want at most %d", p.Name, len(way), most)
	}
	if !p.Policy.Retry.Failover && len(way) > 1+retries {
		t.Errorf("pool %s: %d attempts with failover off, want at most %d", p.Name, len(way), 1+retries)
	}
	w.failovers.Add(int64(again - 1))
	w.retries.Add(int64(len(way) - again))
}

// live pours requests over the world, a few at each moment.
func (w *world) live(t *testing.T, rnd *rand.Rand, requests int, lasts time.Duration) {
	var wg sync.WaitGroup
	const burst = 5
	gap := lasts / time.Duration(requests/burst)
	for n := range requests {
		first, seed := one(rnd, w.pools), rnd.Uint64()
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		leaves := rnd.IntN(50) == 0
		if leaves {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(2000))*time.Millisecond)
		}
		wg.Go(func() {
			defer cancel()
			start := time.Now()
			x := &simulated{rnd: rand.New(rand.NewPCG(seed, 3))}
			res := serve(ctx, w.router, &Request{Model: first.Name, Stream: seed%2 == 0, Repeated: seed%7 == 0}, x)
			w.requests.Add(1)
			w.check(t, x, first, leaves, res, time.Since(start))
		})
		if n%burst == burst-1 {
			time.Sleep(gap)
		}
	}
	wg.Wait() // a request that never ends is a deadlock, which fails the test
}

// A million requests over pools of any kind, whose machines come and go. The
// worlds are the same in every run; who is picked, and who comes first at one
// moment, is not.
func TestSimulation(t *testing.T) {
	const perWorld, lasts = 10_000, 3 * time.Minute
	worlds := 100
	switch {
	case testing.Short():
		worlds = 5
	case raceEnabled:
		worlds = 10
	}
	var total world
	t.Run("worlds", func(t *testing.T) {
		for seed := range worlds {
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					rnd := rand.New(rand.NewPCG(uint64(seed), 4))
					w := newWorld(t, rnd, lasts)
					w.live(t, rnd, perWorld, lasts)
					w.checkEnd(t)
					for _, sum := range []struct{ to, of *atomic.Int64 }{
						{&total.requests, &w.requests},
						{&total.served, &w.served},
						{&total.failovers, &w.failovers},
						{&total.retries, &w.retries},
						{&total.fallbacks, &w.fallbacks},
						{&total.cooldowns, &w.cooldowns},
						{&total.promised, &w.promised},
					} {
						sum.to.Add(sum.of.Load())
					}
				})
			})
		}
	})
	t.Logf("%d requests, %d served; %d failovers, %d retries, %d fallbacks, %d cooldowns; %d in pools that must answer",
		total.requests.Load(), total.served.Load(), total.failovers.Load(), total.retries.Load(),
		total.fallbacks.Load(), total.cooldowns.Load(), total.promised.Load())
	if got, want := total.requests.Load(), int64(worlds*perWorld); got != want {
		t.Errorf("%d requests have ended, want %d", got, want)
	}
	few := int64(worlds * perWorld / 100)
	for name, got := range map[string]int64{
		"served": total.served.Load(), "failovers": total.failovers.Load(), "retries": 10 * total.retries.Load(),
		"fallbacks": total.fallbacks.Load(), "in pools that must answer": total.promised.Load(), "cooldowns": 50 * total.cooldowns.Load(),
	} {
		if got < few {
			t.Errorf("%s: %d, too few to say anything", name, got)
		}
	}
}

// checkEnd checks that nothing is left of the requests, and that who never
// fails never cooled.
func (w *world) checkEnd(t *testing.T) {
	t.Helper()
	idle(t, w.pools...)
	for _, p := range w.pools {
		for _, c := range p.All() {
			state := c.Cooldown.State(time.Now())
			if state == health.Probing {
				t.Errorf("%s/%s is still probed", p.Name, c.ID)
			}
			if c.Upstream.(*machine).sound && (state != health.Usable || c.Cooldown.Reason() != retry.None) {
				t.Errorf("%s/%s never failed, but is %v after %v", p.Name, c.ID, state, c.Cooldown.Reason())
			}
		}
	}
}
