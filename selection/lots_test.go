package selection

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// slow is in slow start, at a little more than half of its share.
func slow(c *Candidate) {
	c.Cooldown = new(health.Record).Under(&health.Config{SlowStart: 20 * time.Second})
	c.Cooldown.Cool(noon.Add(-time.Minute), retry.Auth, time.Second)
	c.Cooldown.Restore(noon.Add(-10 * time.Second))
}

// Lots are drawn with the very probabilities that picks have after a filter.
func TestDrawIsFilterAndPick(t *testing.T) {
	many := func(set ...func(*Candidate)) (all []*Candidate) {
		for i := range 20 {
			all = append(all, candidate(fmt.Sprint(i), append(set, weight(float64(1+i%3)))...))
		}
		return all
	}
	tests := []struct {
		name  string
		all   []*Candidate
		query Query
	}{
		{"all usable", many(), Query{}},
		{"one", []*Candidate{candidate("a")}, Query{}},
		{"without shares", []*Candidate{candidate("a"), candidate("b"), candidate("c")}, Query{}},
		{"by rpm", []*Candidate{candidate("a", rpm(1)), candidate("b", rpm(3)), candidate("c")}, Query{}},
		{"some out", append(many(), candidate("x", cool, weight(9)), candidate("y", down, weight(9)), candidate("z", full, weight(9))), Query{}},
		{"most out", append(many(cool), candidate("x", weight(1)), candidate("y", weight(2))), Query{}},
		{"in slow start", []*Candidate{candidate("a", slow), candidate("b"), candidate("c", slow, weight(0))}, Query{}},
		{"all in slow start", []*Candidate{candidate("a", slow, weight(1)), candidate("b", slow, weight(3))}, Query{}},
		{"a standby", []*Candidate{candidate("a", weight(1)), candidate("b", weight(0))}, Query{}},
		{"standbys are left", []*Candidate{candidate("a", weight(1), cool), candidate("b", weight(0), rpm(1)), candidate("c", weight(0), rpm(3))}, Query{}},
		{"a lower order", append(many(order(2)), candidate("x", weight(1)), candidate("y", weight(2))), Query{}},
		{"a lower order that is out", append(many(order(2)), candidate("x", cool), candidate("y", down)), Query{}},
		{"a region", append(many(), candidate("x", weight(1), func(c *Candidate) { c.Region = "eu" })), Query{Regions: []string{"eu"}}},
		{"none", many(cool), Query{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const n = 40_000
			test.query.Now = noon
			w := Weighted{Random: rand.New(rand.NewPCG(1, 2)).Float64}
			lots := NewLots(test.all)
			drawn, picked := make(map[*Candidate]float64), make(map[*Candidate]float64)
			for range n {
				usable := test.query.Filter(nil, test.all)
				if len(usable) == 0 {
					if c := w.Draw(&test.query, lots); c != nil {
						t.Fatalf("drew %s although nothing is usable", c.ID)
					}
					continue
				}
				picked[w.Pick(&test.query, usable)] += 1.0 / n
				c := w.Draw(&test.query, lots)
				if c == nil {
					c = w.Pick(&test.query, usable)
				}
				drawn[c] += 1.0 / n
			}
			for _, c := range test.all {
				if math.Abs(drawn[c]-picked[c]) > 0.015 { // five standard deviations of a half
					t.Errorf("%s is drawn for %.3f of the requests and picked for %.3f", c.ID, drawn[c], picked[c])
				}
			}
		})
	}
}

func TestDrawHasNoFavourites(t *testing.T) {
	all := []*Candidate{candidate("a", weight(1)), candidate("b", weight(2)), candidate("s", weight(0)), candidate("c", weight(1))}
	lots := NewLots(all)
	for point, want := range map[float64]string{0: "a", 0.24: "a", 0.25: "b", 0.74: "b", 0.75: "c", justBelow1: "c", 1: "c"} {
		if got := draw(point).Draw(at(noon), lots).ID; got != want {
			t.Errorf("draw %v gives %s, want %s", point, got, want)
		}
	}
	if c := (Weighted{}).Draw(at(noon), NewLots(nil)); c != nil {
		t.Errorf("drew %s of nothing", c.ID)
	}
}

func BenchmarkDraw(b *testing.B) {
	for _, n := range []int{2, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			lots, q := NewLots(plainCandidates(n)), at(noon)
			b.ReportAllocs()
			for b.Loop() {
				if (Weighted{}).Draw(q, lots) == nil {
					b.Fatal("nobody drawn")
				}
			}
		})
	}
}
