package selection

import (
	"math"
	"slices"
	"time"
)

// Fastest picks the candidate whose answer is expected soonest: by its Latency, for
// a stream by the first token and a few more, else by the whole answer, and times
// the requests that still wait for their first token there. That reacts to a server
// that turns slow before its first slow answer has come. Of more than eight
// candidates it compares two, drawn at random by share: all instances and requests
// running for the same fastest one would make it the slowest.
type Fastest struct {
	// Buffer is by how much slower than the fastest a candidate may be to count for
	// as fast; 0.1 is 10 %. Among those it picks at random, by share.
	Buffer float64
	// Explore is the part of the requests that may go to a candidate that has not
	// been measured for ten seconds.
	Explore float64
	// Decay is how long it takes until a measurement that nothing has confirmed is
	// two thirds of the way to the median of the others. Zero is at once.
	Decay  time.Duration
	Random Random
}

const (
	// comparedAll are as many candidates as are all compared.
	comparedAll = 8
	// exploreAfter is how old in seconds a measurement is that may be explored.
	exploreAfter = 10
	// streamTokens are how many tokens of a stream count besides the first.
	streamTokens = 50
)

// Timed implements Timed.
func (*Fastest) Timed() {}

// runner is a candidate with what is known of its latency in seconds; 0 is
// unknown.
type runner struct {
	*Candidate
	first, firstAge, perToken, perTokenAge float64
	share                                  float64
	waiting                                float64
}

// measured tells whether anything is known.
func (r *runner) measured() bool { return r.first > 0 || r.perToken > 0 }

// Pick implements Strategy.
func (f *Fastest) Pick(q *Query, usable []*Candidate) *Candidate {
	if len(usable) == 1 {
		return usable[0]
	}
	var field [comparedAll]runner
	runners, sample := f.lineUp(q, usable, field[:0])
	if len(runners) == 0 {
		return ShareOf(usable).draw(q.Now, usable, f.Random)
	}
	if f.Explore > 0 && f.Random.draw() < f.Explore {
		if c := stalest(runners); c != nil {
			return c
		}
	}
	race := f.race(q, usable, sample)
	best := math.Inf(1)
	var times [comparedAll]float64
	for i := range runners {
		times[i] = race.time(&runners[i])
		best = min(best, times[i])
	}
	total := 0.0
	for i := range runners {
		if times[i] > best*(1+f.Buffer) {
			runners[i].share = 0
		}
		total += runners[i].share
	}
	left := f.Random.draw() * total
	for i := range runners {
		if left -= runners[i].share; left < 0 {
			return runners[i].Candidate
		}
	}
	return runners[slices.Index(times[:len(runners)], best)].Candidate
}

// lineUp measures those that are to be compared, and, with them at the front, those
// that tell how fast the pool is.
func (f *Fastest) lineUp(q *Query, usable []*Candidate, field []runner) (compared, sample []runner) {
	by := ShareOf(usable)
	if len(usable) <= comparedAll {
		for _, c := range usable {
			if by.Of(c) > 0 && warm(q.Now, c, f.Random) {
				field = append(field, look(q, c, by))
			}
		}
		return field, field
	}
	total := by.total(q.Now, usable)
	one := by.at(q.Now, usable, f.Random.draw()*total)
	field = append(field, look(q, one, by))
	for range comparedAll { // the same one again is likely only where it has most of the shares
		if other := by.at(q.Now, usable, f.Random.draw()*total); other != one {
			field = append(field, look(q, other, by))
			break
		}
	}
	compared = field
	stride := len(usable) / comparedAll
	for i := int(f.Random.draw() * float64(stride)); i < len(usable) && len(field) < comparedAll; i += stride {
		field = append(field, look(q, usable[i], by))
	}
	return compared, field
}

func look(q *Query, c *Candidate, by Share) runner {
	r := runner{Candidate: c, share: by.Of(c)}
	r.first, r.firstAge = c.Latency.firstToken(q.Now, q.Tokens)
	r.perToken, r.perTokenAge = c.Latency.perToken.value(q.Now)
	waiting, _ := c.Unanswered()
	r.waiting = float64(waiting)
	return r
}

// stalest is the candidate whose measurement is the oldest, if that is old enough
// and nothing is on its way to tell more; nil if there is none.
func stalest(runners []runner) *Candidate {
	var oldest *Candidate
	age := float64(exploreAfter)
	for i := range runners {
		r := &runners[i]
		if own := max(r.firstAge, r.perTokenAge); r.waiting == 0 && r.measured() && own > age {
			oldest, age = r.Candidate, own
		}
	}
	return oldest
}

// race is what all are compared by.
type race struct {
	first, perToken float64 // the medians of what is known, 0 of nothing
	tokens          float64 // that count
	decay           float64 // in seconds
}

func (f *Fastest) race(q *Query, usable []*Candidate, sample []runner) race {
	tokens := q.expectedOutput(usable)
	var first, perToken [comparedAll]float64
	firsts, perTokens := first[:0], perToken[:0]
	for i := range sample {
		r := &sample[i]
		if r.first > 0 {
			firsts = append(firsts, r.first)
		}
		if r.perToken > 0 {
			perTokens = append(perTokens, r.perToken)
		}
	}
	if q.Stream {
		tokens = min(tokens, streamTokens)
	}
	return race{first: median(firsts), perToken: median(perTokens), tokens: tokens, decay: f.Decay.Seconds()}
}

// median of what is not sorted yet; 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}

// time is how long r is expected to take for one more request. One of which nothing
// is known comes first while nobody waits for it, and then counts for average. Where
// all answers come whole, the time for their tokens is all there is to know.
func (ra *race) time(r *runner) float64 {
	if !r.measured() && r.waiting == 0 {
		return 0
	}
	expected := ra.settled(r.perToken, r.perTokenAge, ra.perToken) * ra.tokens
	if r.first > 0 || r.perToken == 0 {
		expected += ra.settled(r.first, r.firstAge, ra.first)
	}
	if expected == 0 { // nothing is known of anybody
		expected = 1
	}
	return expected * (r.waiting + 1)
}

// settled moves what has not been seen for a while towards the median.
func (ra *race) settled(value, age, median float64) float64 {
	switch {
	case value == 0, ra.decay == 0 && age > 0:
		return median
	case age < 1, ra.decay == 0:
		return value
	}
	return median + (value-median)*math.Exp(-age/ra.decay)
}
