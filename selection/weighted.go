package selection

import (
	"math/rand/v2"
	"time"
)

// Weighted picks at random with a probability of weight over the total of what
// is usable. When the weights add up to nothing, RPM takes their place, then
// TPM; with none of them every candidate has the same chance. A candidate in
// slow start counts for less.
type Weighted struct {
	// Random gives numbers in [0,1); nil is math/rand/v2's.
	Random func() float64 `json:"-"`
}

// Pick implements Strategy.
func (w Weighted) Pick(now time.Time, usable []*Candidate) *Candidate {
	if len(usable) == 1 {
		return usable[0]
	}
	random := w.Random
	if random == nil {
		random = rand.Float64
	}
	for _, share := range shares {
		total := 0.0
		for _, c := range usable {
			total += share(c) * c.Cooldown.Ramp(now)
		}
		if total <= 0 {
			continue
		}
		left := random() * total
		var last *Candidate
		for _, c := range usable {
			part := share(c) * c.Cooldown.Ramp(now)
			if part <= 0 {
				continue
			}
			last = c
			if left -= part; left < 0 {
				break
			}
		}
		return last // also where rounding leaves a rest above the last one
	}
	return usable[0]
}

var shares = [...]func(*Candidate) float64{
	func(c *Candidate) float64 { return c.Weight },
	func(c *Candidate) float64 { return c.RPM },
	func(c *Candidate) float64 { return c.TPM },
	func(*Candidate) float64 { return 1 },
}
