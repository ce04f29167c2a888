package selection

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func price(input, output float64) func(*Candidate) {
	return func(c *Candidate) { c.Price = &Price{Input: input, Output: output} }
}

func TestCheapestPicks(t *testing.T) {
	output := func(tokens float64) func(*Candidate) { return func(c *Candidate) { c.Output.Add(tokens) } }
	for _, test := range []struct {
		name string
		q    Query
		all  []*Candidate
		want string // of any of these
	}{
		{"the cheapest", Query{Tokens: 100}, []*Candidate{candidate("a", price(2, 8)), candidate("b", price(1, 4))}, "b"},
		{"a price of zero is cheap", Query{Tokens: 100}, []*Candidate{candidate("a", price(1, 1)), candidate("b", price(0, 0))}, "b"},
		{"no price is not", Query{Tokens: 100}, []*Candidate{candidate("a", price(1000, 1000)), candidate("b")}, "a"},
		{"no price where nobody has one", Query{Tokens: 100}, []*Candidate{candidate("a"), candidate("b")}, "ab"},
		{"equals", Query{Tokens: 100}, []*Candidate{candidate("a", price(1, 4), output(10)), candidate("b", price(1, 4), output(900)), candidate("c", price(2, 4))}, "ab"},
		{"a long prompt", Query{Tokens: 100_000}, []*Candidate{candidate("a", price(1, 10)), candidate("b", price(3, 1))}, "a"},
		{"a short prompt", Query{Tokens: 10}, []*Candidate{candidate("a", price(1, 10)), candidate("b", price(3, 1))}, "b"},
		{"answers that are long", Query{Tokens: 1000}, []*Candidate{candidate("a", price(1, 10), output(2000)), candidate("b", price(3, 1), output(2000))}, "b"},
		{"an answer that has to be short", Query{Tokens: 1000, MaxOutput: 10}, []*Candidate{candidate("a", price(1, 10), output(2000)), candidate("b", price(3, 1), output(2000))}, "a"},
		{"a standby is not cheap", Query{Tokens: 1}, []*Candidate{candidate("a", price(9, 9), weight(1)), candidate("b", price(0, 0), weight(0))}, "a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.q.Now = noon
			got := make(map[string]bool)
			for range 100 {
				got[(&Cheapest{}).Pick(&test.q, test.all).ID] = true
			}
			for _, id := range test.want {
				if !got[string(id)] {
					t.Errorf("got %v, want %c among them", got, id)
				}
			}
			if len(got) != len(test.want) {
				t.Errorf("got %v, want only %s", got, test.want)
			}
		})
	}
}

// Requests cost least while the cheap server has room, and the dear ones take what
// it has no room for.
func TestCostSimulation(t *testing.T) {
	run := func(strategy Strategy) (s *simulation, cost float64) {
		servers := alike(3, false)
		servers[0].Price, servers[0].MaxParallel = &Price{Input: 0, Output: 0}, 5
		servers[1].Price, servers[1].MaxParallel = &Price{Input: 1, Output: 3}, 5
		servers[2].Price = &Price{Input: 10, Output: 30}
		s = newSimulation(strategy, servers...)
		s.pour(5000, 40, func() *job { return &job{prompt: 1000, output: 50} })
		s.run()
		s.checkIdle(t)
		for _, v := range servers {
			cost += float64(v.served) * (1000*v.Price.Input + 50*v.Price.Output) / 1e6
		}
		return s, cost
	}
	random := rand.New(rand.NewPCG(1, 2)).Float64
	s, cheap := run(&Cheapest{Random: random})
	_, weighted := run(Weighted{Random: random})
	t.Logf("cost: %.2f US$, weighted %.2f US$; shares %.2f, %.2f, %.2f", cheap, weighted, share(s.to, "0"), share(s.to, "1"), share(s.to, "2"))
	if s.refused > 0 {
		t.Errorf("got %d requests without a server, want none", s.refused)
	}
	if cheap*2 > weighted {
		t.Errorf("got %.2f US$, want at most half of weighted's %.2f", cheap, weighted)
	}
	if a, b, c := share(s.to, "0"), share(s.to, "1"), share(s.to, "2"); a < b || b < c || c == 0 {
		t.Errorf("got shares %.2f, %.2f and %.2f, want the cheapest the most and each some", a, b, c)
	}
}

func TestCostOfTokens(t *testing.T) {
	cached := Price{Input: 3, Output: 15}
	cached.CachedAt(0.3)
	for _, test := range []struct {
		name                  string
		price                 Price
		input, cached, output int64
		want                  float64
	}{
		{"a million of each", Price{Input: 0.6, Output: 2.4}, 1e6, 0, 1e6, 3},
		{"a few", Price{Input: 2.5, Output: 10}, 1204, 0, 318, 0.00619},
		{"a prompt alone", Price{Input: 0.02}, 8, 0, 0, 0.00000016},
		{"crumbs of binary fractions", Price{Input: 0.1, Output: 0.2}, 1, 0, 1, 0.0000003},
		{"one token at the lowest of prices", Price{Input: 0.000001}, 1, 0, 0, 0.000000000001},
		{"free", Price{}, 1000, 500, 1000, 0},
		{"nothing", Price{Input: 3, Output: 15}, 0, 0, 0, 0},
		{"cached at no price of its own", Price{Input: 3, Output: 15}, 1000, 800, 100, 0.0045},
		{"cached at a price of its own", cached, 1000, 800, 100, 0.00234},
		{"all of it cached", cached, 1000, 1000, 0, 0.0003},
		{"more cached than there is", cached, 1000, 5000, 0, 0.0003},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := RoundCost(test.price.Cost(test.input, test.cached, test.output)); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestBilledAddsUpWhateverComesTogether(t *testing.T) {
	state := new(State)
	priced, free, unpriced := NewCandidate("a", state), NewCandidate("a", state), NewCandidate("a", state)
	priced.Price, free.Price = &Price{Input: 0.1, Output: 0.2}, &Price{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				priced.Billed(1, 0, 1)
				free.Billed(5, 0, 5) // as after a reload that has changed the price
				unpriced.Billed(5, 0, 5)
			}
		})
	}
	all.Wait()
	if got, want := state.Cost(), 0.0024; got != want {
		t.Errorf("got a cost of %v, want %v: what had a price, at that price", got, want)
	}
	if input, output := state.InputTokens(), state.OutputTokens(); input != 88_000 || output != 88_000 {
		t.Errorf("got %d and %d tokens, want all 88000", input, output)
	}
}
