package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

const (
	stormLasts   = 30 * time.Second
	stormRate    = 100 // requests a second
	stormAttempt = 20 * time.Millisecond
)

// storm is an Exchange of many requests at once, in which everything in pool m
// answers 503 for a while. What counts is when an attempt arrives.
type storm struct {
	from, to time.Time

	mu        sync.Mutex // guards what follows
	hits      int        // attempts in pool m during the storm
	second    map[int64]int
	firstGood time.Time // arrival of the first good attempt in m after the storm
	unserved  []time.Time
}

func (s *storm) rages(at time.Time) bool { return !at.Before(s.from) && at.Before(s.to) }

func (s *storm) Attempt(ctx context.Context, a *Attempt) Outcome {
	arrived := time.Now()
	if !sleep(ctx, stormAttempt) {
		return Outcome{Class: retry.Canceled}
	}
	if a.Target.Pool.Name != "m" {
		return Outcome{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.rages(arrived):
		s.hits++
		s.second[arrived.Unix()]++
		return Outcome{Class: retry.Overloaded}
	case !arrived.Before(s.to) && s.firstGood.IsZero():
		s.firstGood = arrived
	}
	return Outcome{}
}

func (*storm) Deliver(context.Context, *Attempt) Outcome { return Outcome{} }

// stormPool is a pool of n deployments with the policy that a configuration
// without a word about it gives.
func stormPool(name string, n int) *Pool {
	var all []*selection.Candidate
	for i := range n {
		all = append(all, deployment(fmt.Sprint(i)))
	}
	p := newPool(name, all...)
	p.Strategy = selection.Weighted{}
	p.Policy.Retry = retry.DefaultPolicy()
	p.Policy.Retry.Budget = retry.NewBudget(20, 3)
	return p
}

// pour offers requests at a steady rate until the clock says end, waits for
// their ends, and tells how many were offered while the storm raged.
func (s *storm) pour(ctx context.Context, r *Router, end time.Time) (offered int) {
	s.second = make(map[int64]int)
	var requests sync.WaitGroup
	for now := time.Now(); now.Before(end); now = time.Now() {
		if s.rages(now) {
			offered++
		}
		requests.Go(func() {
			if res := serve(ctx, r, &Request{Model: "m"}, s); res.Class != retry.None {
				s.mu.Lock()
				s.unserved = append(s.unserved, now)
				s.mu.Unlock()
			}
		})
		time.Sleep(time.Second / stormRate)
	}
	requests.Wait()
	return offered
}

// An outage of everything must not become its own cause: what reaches the
// upstreams stays at 1.2 times of what clients ask for, however much went well
// before, and the outage ends with the first probe that finds them well again.
func TestStorm(t *testing.T) {
	calms := []time.Duration{0, 15 * time.Second, 90 * time.Second}
	if testing.Short() || raceEnabled {
		calms = []time.Duration{0, 70 * time.Second}
	}
	for _, calm := range calms {
		for _, n := range []int{1, 3} {
			for _, fallback := range []bool{false, true} {
				bubble(t, fmt.Sprintf("of %d after %v, fallback %v", n, calm, fallback), func(t *testing.T) {
					m, f := stormPool("m", n), stormPool("f", 1)
					if fallback {
						m.Fallback = to(f)
					}
					s := &storm{from: time.Now().Add(calm)}
					s.to = s.from.Add(stormLasts)
					offered := s.pour(t.Context(), newRouter(t, m, f), s.to.Add(35*time.Second))

					if most := offered * 12 / 10; s.hits > most {
						t.Errorf("%d attempts for %d requests, want at most %d", s.hits, offered, most)
					}
					if s.hits == 0 {
						t.Error("nothing was tried in the storm, want at least probes")
					}
					peak := 0
					for _, hits := range s.second {
						peak = max(peak, hits)
					}
					t.Logf("%d requests, %d attempts (%.3f), at most %d in a second, first success after %v",
						offered, s.hits, float64(s.hits)/float64(offered), peak, s.firstGood.Sub(s.to))
					s.checkRecovery(t, fallback)
					idle(t, m, f)
					for _, c := range m.All() {
						if state := c.Cooldown.State(time.Now()); state != health.Usable {
							t.Errorf("%s is %v at the end, want usable", c.ID, state)
						}
					}
				})
			}
		}
	}
}

// checkRecovery checks that the first probe after the storm ended it.
func (s *storm) checkRecovery(t *testing.T, fallback bool) {
	t.Helper()
	// The probe in flight when the storm ends still fails; the next arrival is
	// the one that succeeds. With a fallback nothing is tried sooner than the
	// cooldown, which failed probes have made longer, says.
	within := stormAttempt + 2*time.Second/stormRate
	if fallback {
		within = health.DefaultConfig().GrowthMax + stormAttempt
	}
	if s.firstGood.IsZero() || s.firstGood.Sub(s.to) > within {
		t.Errorf("first success %v after the storm, want at most %v", s.firstGood.Sub(s.to), within)
	}
	for _, at := range s.unserved {
		switch {
		case fallback:
			t.Fatalf("a request of %v after the storm began has failed, want the fallback's answer", at.Sub(s.from))
		case at.Before(s.from):
			t.Fatalf("a request of %v before the storm has failed", s.from.Sub(at))
		case at.After(s.firstGood.Add(stormAttempt)):
			t.Fatalf("a request %v after the first success has failed", at.Sub(s.firstGood))
		}
	}
}

// The brake is for outages of everything. Where something does well, every
// request finds it, without a budget and whatever else keeps failing.
func TestFailoverFindsWhatDoesWell(t *testing.T) {
	broke := func(p *Pool) *Pool {
		p.Policy.Retry.Retries, p.Policy.Retry.Budget = 0, retry.NewBudget(0, 0)
		return p
	}
	// Enough good answers before that counts do not cool, and then failures.
	const history = 1000
	lived := func(c *selection.Candidate) {
		for range history {
			ticket, _ := c.Cooldown.Begin(time.Now())
			ticket.Succeed(time.Now())
		}
	}
	ask := func(t *testing.T, r *Router, steps map[string][]step, want string) {
		t.Helper()
		x := script(steps)
		serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, want)
	}
	bubble(t, "two of three keep failing", func(t *testing.T) {
		m := broke(newPool("m", deployment("a", lived), deployment("b", lived), deployment("c", order(2))))
		r, steps := newRouter(t, m), map[string][]step{"m/a": broken, "m/b": broken}
		for range 5 {
			ask(t, r, steps, "m/a m/b m/c")
		}
		for range 50 { // by now b is known for it
			ask(t, r, steps, "m/a m/c")
		}
		ask(t, r, map[string][]step{"m/a": broken, "m/c": broken}, "m/a m/c") // b is a gamble, and there is no budget
	})
	bubble(t, "everything keeps failing", func(t *testing.T) {
		m := broke(newPool("m", deployment("a", lived), deployment("b", lived)))
		r, steps := newRouter(t, m), map[string][]step{"m/a": broken, "m/b": broken}
		for range 5 {
			ask(t, r, steps, "m/a m/b")
		}
		ask(t, r, steps, "m/a")
		m.Policy.Retry.Budget = retry.NewBudget(0, 0.1)
		ask(t, r, steps, "m/a m/b") // the budget's one
		ask(t, r, steps, "m/a")
		m.Policy.Retry.Budget = nil
		ask(t, r, steps, "m/a m/b") // no budget is no brake
	})
	bubble(t, "a good answer is found out at once", func(t *testing.T) {
		m := broke(newPool("m", deployment("a", lived), deployment("b", lived)))
		r, steps := newRouter(t, m), map[string][]step{"m/a": broken, "m/b": broken}
		for range 6 {
			serve(t.Context(), r, &Request{Model: "m"}, script(steps))
		}
		ask(t, r, steps, "m/a")
		m.Strategy = lastOne{} // b is the first to be asked, and well again
		ask(t, r, nil, "m/b")
		m.Strategy = inOrder{}
		ask(t, r, map[string][]step{"m/a": broken}, "m/a m/b")
	})
	bubble(t, "failures of long ago are forgotten", func(t *testing.T) {
		m := broke(newPool("m", deployment("a", lived), deployment("b", lived)))
		r, steps := newRouter(t, m), map[string][]step{"m/a": broken, "m/b": broken}
		for range 6 {
			serve(t.Context(), r, &Request{Model: "m"}, script(steps))
		}
		time.Sleep(10 * time.Second)
		ask(t, r, steps, "m/a m/b")
	})
	bubble(t, "what the request has done wrong is nobody's failure", func(t *testing.T) {
		m := broke(newPool("m", deployment("b"), deployment("a")))
		r := newRouter(t, m)
		for range 20 {
			serve(t.Context(), r, &Request{Model: "m"}, script(map[string][]step{"m/b": {fails(retry.BadRequest)}}))
		}
		m.Strategy = lastOne{}
		ask(t, r, map[string][]step{"m/a": broken}, "m/a m/b")
	})
}
