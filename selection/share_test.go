package selection

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// everyStrategy are all there are, with a source of random numbers.
func everyStrategy(random Random) map[string]Strategy {
	return map[string]Strategy{
		"weighted": Weighted{Random: random}, "round_robin": RoundRobin{},
		"least_busy": &LeastBusy{Random: random}, "least_busy by tokens": &LeastBusy{Tokens: true, Random: random},
		"latency": &Fastest{Random: random}, "cost": &Cheapest{Random: random}, "usage": &LeastUsed{Random: random},
		"prefix_affinity": &PrefixAffinity{Table: NewPrefixTable(1<<16, time.Minute), Balance: 1.25, Random: random},
	}
}

// Where nothing else makes a difference, weights do, under every strategy.
func TestWeightsHoldUnderEveryStrategy(t *testing.T) {
	const n = 20_000
	for name, strategy := range everyStrategy(rand.New(rand.NewPCG(1, 2)).Float64) {
		for _, test := range []struct {
			name string
			all  []*Candidate
			want map[string]float64
		}{
			{"weights", []*Candidate{candidate("a", weight(80)), candidate("b", weight(20)), candidate("c", weight(0))}, map[string]float64{"a": 0.8, "b": 0.2}},
			{"rpm", []*Candidate{candidate("a", rpm(300)), candidate("b", rpm(100), tpm(9000)), candidate("c")}, map[string]float64{"a": 0.75, "b": 0.25}},
			{"nothing", []*Candidate{candidate("a"), candidate("b"), candidate("c"), candidate("d")}, map[string]float64{"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}},
			{"standbys", []*Candidate{candidate("a", weight(0)), candidate("b", weight(0))}, map[string]float64{"a": 0.5, "b": 0.5}},
		} {
			t.Run(name+", "+test.name, func(t *testing.T) {
				got := make(map[string]float64)
				for range n {
					got[strategy.Pick(at(noon), test.all).ID] += 1. / n
				}
				for id, want := range test.want {
					if bound := 4 * math.Sqrt(want*(1-want)/n); math.Abs(got[id]-want) > bound {
						t.Errorf("%s got %.4f of the picks, want %.4f ± %.4f", id, got[id], want, bound)
					}
				}
			})
		}
	}
}

// In slow start a deployment gets a tenth of what it would get, and more by and
// by, though it is the best by every measure.
func TestSlowStartUnderEveryStrategy(t *testing.T) {
	const n = 20_000
	for name, strategy := range everyStrategy(rand.New(rand.NewPCG(1, 2)).Float64) {
		t.Run(name, func(t *testing.T) {
			back := candidate("a", weight(1), slowStart(100*time.Second), price(0, 0), limit(100, 0))
			back.Cooldown.Cool(noon.Add(-time.Minute), 1, time.Second)
			back.Cooldown.Restore(noon)
			back.Latency.Served(noon, Answer{FirstToken: time.Millisecond, Took: time.Millisecond})
			other := candidate("b", weight(1), price(1, 1), limit(10, 0))
			other.Latency.Served(noon, Answer{FirstToken: time.Second, Took: time.Second})
			all := []*Candidate{back, other}
			before := 0.0
			for _, after := range []time.Duration{0, 50 * time.Second, 100 * time.Second} {
				got := 0.0
				for range n {
					if strategy.Pick(at(noon.Add(after)), all) == back {
						got += 1. / n
					}
				}
				if most := map[time.Duration]float64{0: 0.11, 50 * time.Second: 0.6, 100 * time.Second: 1}[after]; got > most || got < before {
					t.Errorf("after %v: got %.3f of the picks, want from %.3f to %.3f", after, got, before, most)
				}
				before = got
			}
			if before < 0.49 {
				t.Errorf("at the end: got %.3f of the picks, want its share", before)
			}
		})
	}
}

// A strategy never picks anybody that is not among the usable, whatever these are.
func TestEveryStrategyPicksAmongTheUsable(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	number := func() float64 { return []float64{0, 0, 1, 5, math.MaxFloat64, 1e-300}[random.IntN(6)] }
	for name, strategy := range everyStrategy(rand.New(rand.NewPCG(1, 2)).Float64) {
		t.Run(name, func(t *testing.T) {
			for range 300 {
				var all []*Candidate
				for range 1 + random.IntN(20) {
					c := candidate("x", weight(number()), rpm(number()), tpm(number()), limit(random.Int64N(3), random.Int64N(3)))
					if random.IntN(2) == 0 {
						c.Price = &Price{Input: number(), Output: number()}
					}
					c.Latency.Served(noon, Answer{Prompt: random.IntN(1e6), FirstToken: time.Duration(random.Int64()), Took: time.Duration(random.Int64()), Output: random.Int64N(3)})
					all = append(all, c)
				}
				q := &Query{Now: noon.Add(time.Duration(random.Int64N(int64(time.Hour)))), Tokens: random.IntN(1 << 31), MaxOutput: random.IntN(1 << 31)}
				for range 10 {
					c := strategy.Pick(q, all)
					if c == nil {
						t.Fatal("got nobody, want one")
					}
					found := false
					for _, other := range all {
						found = found || other == c
					}
					if !found {
						t.Fatal("got somebody else")
					}
				}
			}
		})
	}
}

// Many requests at once, whose deployments are told what became of them.
func TestStrategiesUnderConcurrency(t *testing.T) {
	for name, strategy := range everyStrategy(nil) {
		t.Run(name, func(t *testing.T) {
			all := []*Candidate{candidate("a", limit(1e9, 0), price(1, 1)), candidate("b", weight(2), limit(1e9, 0)), candidate("c", limit(1e9, 1e9))}
			var wg sync.WaitGroup
			for g := range 4 {
				wg.Go(func() {
					var prompt Prompt
					for i := range 2000 {
						prompt.Reset(reading{{uint64(g*i + 1), 100}, {uint64(g*i + 2), 200}})
						q := &Query{Now: noon.Add(time.Duration(i) * time.Millisecond), Tokens: 300, Stream: true, Prompt: &prompt}
						c := strategy.Pick(q, q.Filter(nil, all))
						c.Acquire()
						unread := q.Tokens
						if w, ok := strategy.(Watcher); ok {
							unread = w.Sent(q, c)
						}
						carried := c.Carry(q.Tokens, unread)
						carried.Answered()
						if i%10 == 0 {
							c.Latency.Failed(q.Now, q.Tokens, time.Millisecond)
						} else {
							c.Latency.Served(q.Now, Answer{Prompt: q.Tokens, FirstToken: time.Second, Took: 2 * time.Second, Output: 10})
						}
						carried.End()
						c.Release()
					}
				})
			}
			wg.Wait()
			for _, c := range all {
				if requests, unread := c.Unanswered(); c.InFlight() != 0 || c.InFlightTokens() != 0 || requests != 0 || unread != 0 {
					t.Errorf("%s: got %d requests of %d tokens, %d of %d unanswered at the end, want none", c.ID, c.InFlight(), c.InFlightTokens(), requests, unread)
				}
			}
		})
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for name, strategy := range everyStrategy(nil) {
		for _, n := range []int{2, 100} {
			all := busyCandidates(n)
			prompt := new(Prompt)
			prompt.Reset(reading{{1, 100}, {2, 200}})
			prompt.Prefixes()
			q := &Query{Now: noon, Tokens: 1000, Prompt: prompt}
			if got := testing.AllocsPerRun(100, func() {
				c := strategy.Pick(q, all)
				if w, ok := strategy.(Watcher); ok {
					w.Sent(q, c)
				}
			}); got > 0 {
				t.Errorf("%s, %d candidates: got %v allocations, want 0", name, n, got)
			}
		}
	}
}
