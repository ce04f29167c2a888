package selection

// LeastBusy picks the candidate that carries the least for its share; of equals
// one at random, by share. Servers that are slower than others keep their requests
// for longer and so get fewer.
type LeastBusy struct {
	// Tokens counts the prompts in flight by their size instead of one by one, for
	// servers that a long prompt keeps busy for longer.
	Tokens bool
	Random Random
}

// Pick implements Strategy.
func (l *LeastBusy) Pick(q *Query, usable []*Candidate) *Candidate {
	if l.Tokens {
		return lowest(q.Now, usable, l.Random, func(c *Candidate, share float64) float64 {
			return float64(c.InFlightTokens()) / share
		})
	}
	return lowest(q.Now, usable, l.Random, func(c *Candidate, share float64) float64 {
		return float64(c.InFlight()) / share
	})
}
