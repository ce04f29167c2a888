package selection

import "math"

// Price is what tokens of a prompt and of an answer cost, in US$ per million.
type Price struct {
	Input, Output float64
	// Saved is how much less a token of the prompt costs that came from a cache.
	Saved float64
}

// CachedAt sets what tokens of the prompt cost that came from a cache, after Input.
func (p *Price) CachedAt(cached float64) { p.Saved = p.Input - cached }

// Cost is what so many tokens cost, in US$; cached ones are a part of the input.
func (p *Price) Cost(input, cached, output int64) float64 {
	return (float64(input)*p.Input - float64(min(cached, input))*p.Saved + float64(output)*p.Output) / 1e6
}

// RoundCost rounds a sum of costs to a millionth of a millionth of a dollar. It reads
// as a person would write it then, without the crumbs of binary fractions, and still
// tells a single token at the lowest of prices from none.
func RoundCost(dollars float64) float64 { return math.Round(dollars*1e12) / 1e12 }

// Cheapest picks the candidate where the request costs least, by its prompt and an
// answer as long as the candidates' are on average. Of equals it picks
// one at random, by share. A price of zero is the cheapest; where the price is not
// known, it is taken to be above all others.
type Cheapest struct{ Random Random }

// Pick implements Strategy.
func (s *Cheapest) Pick(q *Query, usable []*Candidate) *Candidate {
	input, output := float64(q.Tokens), q.expectedOutput(usable)
	return lowest(q.Now, usable, s.Random, func(c *Candidate, _ float64) float64 {
		if c.Price == nil {
			return math.MaxFloat64
		}
		return input*c.Price.Input + output*c.Price.Output
	})
}

const (
	// assumedOutput is the length of an answer in tokens where none is known.
	assumedOutput = 256
	// askedForOutput are how many candidates tell how long answers are.
	askedForOutput = 8
)

// expectedOutput is how long an answer is on average in tokens, within what the
// request allows. It is one number for all, or prices and speeds that are the same
// would not come out the same.
func (q *Query) expectedOutput(usable []*Candidate) float64 {
	sum, known := 0.0, 0
	for _, c := range usable[:min(len(usable), askedForOutput)] {
		if output := c.Output.Value(); output > 0 {
			sum += output
			known++
		}
	}
	expected := float64(assumedOutput)
	if known > 0 {
		expected = sum / float64(known)
	}
	if q.MaxOutput > 0 {
		expected = min(expected, float64(q.MaxOutput))
	}
	return expected
}
