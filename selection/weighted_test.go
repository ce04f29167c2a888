package selection

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func rpm(n float64) func(*Candidate) { return func(c *Candidate) { c.RPM = n } }

func tpm(n float64) func(*Candidate) { return func(c *Candidate) { c.TPM = n } }

func draw(f float64) Weighted { return Weighted{Random: func() float64 { return f }} }

const justBelow1 = 1 - 1.0/(1<<53)

func TestWeightedPicksByTheDraw(t *testing.T) {
	tests := []struct {
		name  string
		all   []*Candidate
		picks map[float64]string
	}{
		{
			"80/20",
			[]*Candidate{candidate("a", weight(80)), candidate("b", weight(20))},
			map[float64]string{0: "a", 0.5: "a", 0.799: "a", 0.8: "b", 0.801: "b", justBelow1: "b"},
		},
		{
			"5/4/1",
			[]*Candidate{candidate("a", weight(5)), candidate("b", weight(4)), candidate("c", weight(1))},
			map[float64]string{0: "a", 0.499: "a", 0.5: "b", 0.899: "b", 0.901: "c", justBelow1: "c"},
		},
		{
			"weight 0 waits",
			[]*Candidate{candidate("a", weight(0), rpm(1000)), candidate("b", weight(1)), candidate("c", weight(0))},
			map[float64]string{0: "b", 0.5: "b", justBelow1: "b"},
		},
		{
			"weight 0 serves when nothing else is left",
			[]*Candidate{candidate("a"), candidate("b")},
			map[float64]string{0: "a", 0.499: "a", 0.5: "b", justBelow1: "b"},
		},
		{
			"rpm where no weight is left",
			[]*Candidate{candidate("a", rpm(1), tpm(1000)), candidate("b", rpm(3))},
			map[float64]string{0.24: "a", 0.26: "b"},
		},
		{
			"tpm where no rpm is left",
			[]*Candidate{candidate("a", tpm(1)), candidate("b", tpm(3))},
			map[float64]string{0.24: "a", 0.26: "b"},
		},
		{
			"without rpm among others with",
			[]*Candidate{candidate("a", tpm(1000)), candidate("b", rpm(3))},
			map[float64]string{0: "b", justBelow1: "b"},
		},
		{
			"weights before rpm",
			[]*Candidate{candidate("a", weight(1), rpm(3)), candidate("b", weight(1), rpm(1))},
			map[float64]string{0.49: "a", 0.51: "b"},
		},
		{
			"uniform",
			[]*Candidate{candidate("a"), candidate("b"), candidate("c"), candidate("d")},
			map[float64]string{0: "a", 0.25: "b", 0.5: "c", 0.75: "d"},
		},
		{"alone", []*Candidate{candidate("a", weight(0))}, map[float64]string{0: "a", justBelow1: "a"}},
		{
			"rounding never ends on weight 0",
			[]*Candidate{candidate("a", weight(0.1)), candidate("b", weight(0.2)), candidate("c", weight(0))},
			map[float64]string{justBelow1: "b", 1: "b"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for f, want := range test.picks {
				if got := draw(f).Pick(at(noon), test.all).ID; got != want {
					t.Errorf("draw %v picks %s, want %s", f, got, want)
				}
			}
		})
	}
}

// The rest of a pool keeps its proportions when one is out, and what is left
// may have no weight although the pool has.
func TestWeightedFallsThroughByWhatIsLeft(t *testing.T) {
	standby, other := candidate("s", weight(0), rpm(1)), candidate("o", weight(0), rpm(3))
	all := []*Candidate{candidate("a", weight(10), cool), standby, other}
	q := Query{Now: noon}
	left := q.Filter(nil, all)
	for f, want := range map[float64]string{0: "s", 0.24: "s", 0.26: "o", justBelow1: "o"} {
		if got := draw(f).Pick(at(noon), left).ID; got != want {
			t.Errorf("draw %v picks %s, want %s", f, got, want)
		}
	}
}

// shares picks n times with a fixed seed and wants each share within four
// standard deviations, which one run in 15,000 would miss by chance.
func wantShares(t *testing.T, left []*Candidate, want map[string]float64) {
	t.Helper()
	const n = 100_000
	w := Weighted{Random: rand.New(rand.NewPCG(1, 2)).Float64}
	got := map[string]int{}
	for range n {
		got[w.Pick(at(noon), left).ID]++
	}
	for id, share := range want {
		bound := 4 * math.Sqrt(share*(1-share)/n)
		if s := float64(got[id]) / n; math.Abs(s-share) > bound {
			t.Errorf("%s is picked %.4f of the time, want %.4f ± %.4f", id, s, share, bound)
		}
		delete(got, id)
	}
	if len(got) > 0 {
		t.Errorf("also picked: %v", got)
	}
}

func TestWeightedShares(t *testing.T) {
	t.Run("80/20", func(t *testing.T) {
		wantShares(t, []*Candidate{candidate("a", weight(80)), candidate("b", weight(20))}, map[string]float64{"a": 0.8, "b": 0.2})
	})
	t.Run("5/4/1 with the first down", func(t *testing.T) {
		all := []*Candidate{candidate("a", weight(5), down), candidate("b", weight(4)), candidate("c", weight(1))}
		q := Query{Now: noon}
		wantShares(t, q.Filter(nil, all), map[string]float64{"b": 0.8, "c": 0.2})
	})
	t.Run("5/4/1 with the first tried", func(t *testing.T) {
		all := []*Candidate{candidate("a", weight(5)), candidate("b", weight(4)), candidate("c", weight(1))}
		q := Query{Now: noon, Tried: all[:1]}
		wantShares(t, q.Filter(nil, all), map[string]float64{"b": 0.8, "c": 0.2})
	})
	t.Run("uniform", func(t *testing.T) {
		wantShares(t, []*Candidate{candidate("a"), candidate("b"), candidate("c")}, map[string]float64{"a": 1. / 3, "b": 1. / 3, "c": 1. / 3})
	})
	t.Run("its own randomness is even too", func(t *testing.T) {
		left := []*Candidate{candidate("a"), candidate("b")}
		n := 0
		for range 10_000 {
			if (Weighted{}).Pick(at(noon), left).ID == "a" {
				n++
			}
		}
		if n < 4700 || n > 5300 { // six standard deviations
			t.Errorf("a is picked %d times of 10000, want about 5000", n)
		}
	})
}

func TestWeightedInSlowStart(t *testing.T) {
	back := candidate("a", weight(1), slowStart(100*time.Second))
	back.Cooldown.Cool(noon.Add(-time.Minute), 1, time.Second)
	back.Cooldown.Restore(noon)
	left := []*Candidate{back, candidate("b", weight(1))}
	for after, want := range map[time.Duration]float64{0: 0.1 / 1.1, 100 * time.Second: 0.5, time.Hour: 0.5} {
		now := noon.Add(after)
		if got := draw(want-0.001).Pick(at(now), left).ID; got != "a" {
			t.Errorf("after %v, just inside its share: %s, want a", after, got)
		}
		if got := draw(want+0.001).Pick(at(now), left).ID; got != "b" {
			t.Errorf("after %v, just outside its share: %s, want b", after, got)
		}
	}
}
