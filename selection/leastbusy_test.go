package selection

import (
	"math/rand/v2"
	"testing"
	"time"
)

// unequal are four servers, the last of which takes twice as long as the others.
func unequal(strategy Strategy, places int) *simulation {
	var servers []*server
	for _, id := range []string{"a", "b", "c", "slow"} {
		v := &server{Candidate: candidate(id), places: places, start: 50 * time.Millisecond, perPrompt: 100 * time.Microsecond, perOutput: 5 * time.Millisecond}
		if id == "slow" {
			v.start, v.perPrompt, v.perOutput = 2*v.start, 2*v.perPrompt, 2*v.perOutput
		}
		servers = append(servers, v)
	}
	return newSimulation(strategy, servers...)
}

// Weighted gives the slow server as much as the others, nearly more than it can do.
func TestLeastBusyOnUnequalServers(t *testing.T) {
	p99 := func(strategy Strategy) float64 {
		s := unequal(strategy, 4)
		s.pour(20_000, 7, func() *job { return &job{prompt: 500, output: 100 + s.random.IntN(200)} })
		s.run()
		s.checkIdle(t)
		return s.percentile(0.99)
	}
	random := rand.New(rand.NewPCG(1, 2)).Float64
	weighted, least := p99(Weighted{Random: random}), p99(&LeastBusy{Random: random})
	t.Logf("p99 of the first token: weighted %.3f s, least_busy %.3f s", weighted, least)
	if least*2 > weighted {
		t.Errorf("p99 of the first token is %.3f s, want at most half of weighted's %.3f s", least, weighted)
	}
}

// Where one request in twenty has forty times the prompt, the number of requests
// says little.
func TestLeastBusyByTokens(t *testing.T) {
	p99 := func(strategy Strategy) float64 {
		s := unequal(strategy, 1)
		s.pour(20_000, 5, func() *job {
			j := &job{prompt: 500, output: 10}
			if s.random.IntN(20) == 0 {
				j.prompt = 20_000
			}
			return j
		})
		s.run()
		s.checkIdle(t)
		return s.percentile(0.99)
	}
	random := rand.New(rand.NewPCG(1, 2)).Float64
	weighted, requests, tokens := p99(Weighted{Random: random}), p99(&LeastBusy{Random: random}), p99(&LeastBusy{Tokens: true, Random: random})
	t.Logf("p99 of the first token: weighted %.3f s, by requests %.3f s, by tokens %.3f s", weighted, requests, tokens)
	if tokens*2 > weighted || tokens > requests {
		t.Errorf("p99 of the first token is %.3f s, want at most half of weighted's %.3f s, and less than by requests, %.3f s", tokens, weighted, requests)
	}
}

func TestLeastBusyPicksWhoCarriesLeast(t *testing.T) {
	carrying := func(n int, tokens int) func(*Candidate) {
		return func(c *Candidate) {
			for range n {
				c.Acquire()
				c.Carry(tokens, tokens)
			}
		}
	}
	for _, test := range []struct {
		name   string
		tokens bool
		all    []*Candidate
		want   string
	}{
		{"requests", false, []*Candidate{candidate("a", carrying(2, 1)), candidate("b", carrying(1, 100))}, "b"},
		{"tokens", true, []*Candidate{candidate("a", carrying(2, 1)), candidate("b", carrying(1, 100))}, "a"},
		{"for its weight", false, []*Candidate{candidate("a", weight(3), carrying(4, 1)), candidate("b", weight(1), carrying(2, 1))}, "a"},
		{"a standby waits", false, []*Candidate{candidate("a", weight(1), carrying(9, 1)), candidate("b", weight(0))}, "a"},
		{"only standbys", false, []*Candidate{candidate("a", weight(0), carrying(1, 1)), candidate("b", weight(0))}, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 20 {
				if got := (&LeastBusy{Tokens: test.tokens}).Pick(at(noon), test.all).ID; got != test.want {
					t.Fatalf("got %s, want %s", got, test.want)
				}
			}
		})
	}
}
