package selection

import "math"

// Billed notes the tokens that an attempt has cost, and what those cost where they
// have a price. Cached ones are a part of the input.
func (c *Candidate) Billed(input, cached, output int64) {
	c.input.Add(input)
	c.output.Add(output)
	if c.Price != nil {
		c.spend(c.Price.Cost(input, cached, output))
	}
}

// spend adds dollars to what was spent.
func (s *State) spend(dollars float64) {
	if dollars == 0 {
		return
	}
	for {
		old := s.spent.Load()
		sum := math.Float64frombits(old) + dollars
		if s.spent.CompareAndSwap(old, math.Float64bits(sum)) {
			return
		}
	}
}

// Cost is what all tokens have cost in US$, each at the price of its time, as far as
// that is known.
func (s *State) Cost() float64 { return RoundCost(math.Float64frombits(s.spent.Load())) }

// InputTokens are those of all prompts, as far as that is known, cached ones
// included.
func (s *State) InputTokens() int64 { return s.input.Load() }

// OutputTokens are those of all answers, as far as that is known, reasoning ones
// included.
func (s *State) OutputTokens() int64 { return s.output.Load() }
