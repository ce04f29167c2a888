package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// What hedging is for: model servers of which each is slow for one request in
// twenty. The servers' times are the same in every run; who is picked is not.
func TestHedgingSimulation(t *testing.T) {
	without := simulateHedging(t, "without", HedgePolicy{})
	for name, policy := range map[string]HedgePolicy{
		"after a fixed time": {After: time.Second, Max: 1},
		"by percentile":      {Percentile: 95, Max: 1},
	} {
		with := simulateHedging(t, name, policy)
		if 2*with.p99 > without.p99 {
			t.Errorf("%s: got a p99 of %v, want at most half of the %v without hedging", name, with.p99, without.p99)
		}
		if with.attempts > without.attempts*110/100 {
			t.Errorf("%s: got %d attempts, want less than a tenth more than %d", name, with.attempts, without.attempts)
		}
		t.Logf("%s: median %v, p99 %v, %d attempts; without: %v, %v, %d", name, with.median, with.p99, with.attempts, without.median, without.p99, without.attempts)
	}
}

// tail is what requests have waited for their first content.
type tail struct {
	median, p99 time.Duration
	attempts    int
}

func simulateHedging(t *testing.T, name string, policy HedgePolicy) (seen tail) {
	t.Helper()
	const requests = 5000
	bubble(t, name, func(t *testing.T) {
		ids := []string{"a", "b", "c", "d"}
		var candidates []*selection.Candidate
		for _, id := range ids {
			candidates = append(candidates, deployment(id))
		}
		m := newPool("m", candidates...)
		m.Strategy = selection.Weighted{}
		m.Policy.Hedge = policy
		m.Policy.Retry.Budget = retry.NewBudget(20, 3) // as by default
		r, rnd := newRouter(t, m), rand.New(rand.NewPCG(5, 6))
		var mu sync.Mutex
		var took []time.Duration
		var all sync.WaitGroup
		for range requests {
			script := make(map[string][]step)
			for _, id := range ids {
				first := time.Duration(200+rnd.IntN(300)) * time.Millisecond
				if rnd.IntN(20) == 0 {
					first = 10 * time.Second
				}
				script[id] = []step{good(first)}
			}
			all.Go(func() {
				res := serve(t.Context(), r, &Request{Model: "m", Stream: true}, racers(script))
				mu.Lock()
				defer mu.Unlock()
				took = append(took, res.Took)
				seen.attempts += res.Attempts
				if res.Class != retry.None {
					t.Errorf("got %v, want an answer", res.Class)
				}
			})
			time.Sleep(20 * time.Millisecond)
		}
		all.Wait()
		idle(t, m)
		slices.Sort(took)
		seen.median, seen.p99 = took[requests/2], took[requests*99/100]
		if len(took) != requests {
			t.Fatal(fmt.Sprint("got ", len(took), " results, want ", requests))
		}
	})
	return seen
}
