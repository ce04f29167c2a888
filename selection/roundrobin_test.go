package selection

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

func counts(t *testing.T, all []*Candidate, n int) map[string]int {
	t.Helper()
	got := make(map[string]int)
	for range n {
		got[RoundRobin{}.Pick(at(noon), all).ID]++
	}
	return got
}

func TestRoundRobinIsExact(t *testing.T) {
	for _, weights := range [][]float64{{1}, {1, 1, 1}, {5, 1, 1}, {80, 20}, {60, 30, 10}, {7, 5, 3, 1}, {0.5, 0.25}, {100, 1}} {
		t.Run(fmt.Sprint(weights), func(t *testing.T) {
			var all []*Candidate
			total := 0.0
			for i, w := range weights {
				all = append(all, candidate(fmt.Sprint(i), weight(w)))
				total += w
			}
			for _, f := range []float64{1, 2, 4} { // a round is a whole number of requests
				if whole := total * f; whole == math.Trunc(whole) {
					total = whole
					break
				}
			}
			sum := 0.0
			for _, w := range weights {
				sum += w
			}
			for round := range 100 {
				got := counts(t, all, int(total))
				for i, w := range weights {
					if want := int(w * total / sum); got[fmt.Sprint(i)] != want {
						t.Fatalf("round %d: %d got %d of %v, want %d", round, i, got[fmt.Sprint(i)], total, want)
					}
				}
			}
		})
	}
}

// At no time has anybody had a turn more or less than its share.
func TestRoundRobinIsSmooth(t *testing.T) {
	all := []*Candidate{candidate("a", weight(5)), candidate("b", weight(3)), candidate("c", weight(2))}
	got := make(map[string]float64)
	for n := 1.0; n <= 1000; n++ {
		got[RoundRobin{}.Pick(at(noon), all).ID]++
		for _, c := range all {
			if want := n * c.Weight / 10; math.Abs(got[c.ID]-want) > 1 {
				t.Fatalf("after %v: %s got %v, want %v ± 1", n, c.ID, got[c.ID], want)
			}
		}
	}
}

// While one is out the others keep their proportions, and it does not make up for
// the time when it is back.
func TestRoundRobinWhileOneIsDown(t *testing.T) {
	a, b, c := candidate("a", weight(5)), candidate("b", weight(4)), candidate("c", weight(1))
	all := []*Candidate{a, b, c}
	for round := range 20 {
		if got := counts(t, all, 10); got["a"] != 5 || got["b"] != 4 || got["c"] != 1 {
			t.Fatalf("round %d: got %v, want 5, 4 and 1", round, got)
		}
		if got := counts(t, []*Candidate{b, c}, 500); got["b"] < 399 || got["b"] > 401 {
			t.Fatalf("round %d, a is out: got %v, want 400 and 100, give or take the turn that had begun", round, got)
		}
		// The round that was interrupted goes on; then all is as before.
		if got := counts(t, all, 10); got["a"] < 4 || got["a"] > 6 {
			t.Fatalf("round %d, a is back: got %v, want 5 for a, give or take one", round, got)
		}
		if got := counts(t, all, 100); got["a"] < 49 || got["a"] > 51 || got["c"] < 9 || got["c"] > 11 {
			t.Fatalf("round %d, a is back: got %v, want 50, 40 and 10, give or take one", round, got)
		}
		for _, candidate := range all { // so that rounds begin at the beginning
			candidate.turn.Store(0)
		}
	}
}

// The position is the deployments': another configuration goes on from there.
func TestRoundRobinGoesOnAfterAReload(t *testing.T) {
	states := []*State{new(State), new(State), new(State)}
	reloaded := func() (all []*Candidate) {
		for i, s := range states {
			all = append(all, NewCandidate(fmt.Sprint(i), s))
		}
		return all
	}
	for n := range 30 {
		if got, want := (RoundRobin{}).Pick(at(noon), reloaded()).ID, fmt.Sprint(n%3); got != want {
			t.Fatalf("request %d: got %s, want %s", n, got, want)
		}
	}
}

func TestRoundRobinIsExactUnderConcurrency(t *testing.T) {
	all := []*Candidate{candidate("a", weight(5)), candidate("b", weight(4)), candidate("c", weight(1)), candidate("d", weight(0))}
	got := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			own := make(map[string]int)
			for range 10_000 {
				own[RoundRobin{}.Pick(at(noon), all).ID]++
			}
			mu.Lock()
			defer mu.Unlock()
			for id, n := range own {
				got[id] += n
			}
		})
	}
	wg.Wait()
	if got["a"] != 20_000 || got["b"] != 16_000 || got["c"] != 4_000 {
		t.Errorf("got %v, want 20000, 16000 and 4000", got)
	}
}

// Simulated servers come and go; among those that are there at a time, each gets
// its share of that time to the request.
func TestRoundRobinSimulation(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	all := []*Candidate{candidate("a", weight(5)), candidate("b", weight(3)), candidate("c", weight(2)), candidate("d", weight(1))}
	for period := range 200 {
		up := make([]*Candidate, 0, len(all))
		total := 0.0
		for _, c := range all {
			if random.IntN(4) > 0 {
				up = append(up, c)
				total += c.Weight
			}
		}
		if len(up) == 0 {
			continue
		}
		n := 100 + random.IntN(1000)
		got := counts(t, up, n)
		for _, c := range up {
			if want := float64(n) * c.Weight / total; math.Abs(float64(got[c.ID])-want) > 1.5 {
				t.Errorf("period %d: %s got %d of %d, want %.1f", period, c.ID, got[c.ID], n, want)
			}
		}
	}
}
