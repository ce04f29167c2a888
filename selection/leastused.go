package selection

import "math"

// LeastUsed picks the candidate that has used the smallest part of its limits in
// the last minute, requests or tokens, whichever is nearer to its end; of equals one
// at random, by share. So all come to the end of their limits together, however
// unequal these are. A candidate without limits comes after all that have some.
type LeastUsed struct{ Random Random }

// Pick implements Strategy.
func (s *LeastUsed) Pick(q *Query, usable []*Candidate) *Candidate {
	return lowest(q.Now, usable, s.Random, func(c *Candidate, _ float64) float64 {
		switch {
		case c.Limiter == nil:
			return math.MaxFloat64
		case c.Limiter.tpm == 0:
			return c.Limiter.Use(0)
		}
		return c.Limiter.Use(q.TokensOn(c))
	})
}
