package selection

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// strategies are all there are but PrefixAffinity, which has a benchmark of its own.
var strategies = map[string]Strategy{
	"weighted": Weighted{}, "round_robin": RoundRobin{}, "least_busy": &LeastBusy{}, "least_busy by tokens": &LeastBusy{Tokens: true},
	"latency": &Fastest{Buffer: 0.1, Explore: 0.05, Decay: 30 * time.Second}, "cost": &Cheapest{}, "usage": &LeastUsed{},
}

// busyCandidates have a past and a present.
func busyCandidates(n int) []*Candidate {
	random := rand.New(rand.NewPCG(1, 2))
	all := benchCandidates(n)
	for _, c := range all {
		c.Price = &Price{Input: random.Float64(), Output: random.Float64()}
		c.Output.Add(random.Float64() * 1000)
		c.Latency.Served(noon, Answer{Prompt: 1000, FirstToken: time.Duration(1 + random.IntN(1e9)), Took: 10 * time.Second, Output: 100})
		for range random.IntN(10) {
			c.Acquire()
			c.Carry(1000, 1000)
			c.Limiter.Reserve(noon, 1000)
		}
	}
	return all
}

// What a strategy needs besides the filter, when nothing is filtered out.
func BenchmarkPick(b *testing.B) {
	for name, strategy := range strategies {
		for _, state := range []string{"busy", "idle"} { // idle is where all are equal
			b.Run(fmt.Sprintf("%s, 100 %s", name, state), func(b *testing.B) {
				all := benchCandidates(100)
				if state == "busy" {
					all = busyCandidates(100)
				}
				q := &Query{Now: noon.Add(3 * time.Second), Tokens: 1000, Stream: true}
				b.ReportAllocs()
				for b.Loop() {
					if strategy.Pick(q, all) == nil {
						b.Fatal("nobody picked")
					}
				}
			})
		}
	}
}
