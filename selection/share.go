package selection

import (
	"math"
	"math/rand/v2"
	"time"
)

// Share says which number of candidates is their share of the requests. The
// weight is, unless no candidate has one: then RPM is, then TPM, and with none of
// them all have the same share. A share of 0 is a standby: it serves when nothing
// with a share is left.
type Share uint8

const (
	// ByWeight, ByRPM and ByTPM are by these fields of a Candidate.
	ByWeight Share = iota
	ByRPM
	ByTPM
	// Evenly is the same share for all.
	Evenly
)

// ShareOf tells what the share is among the usable candidates.
func ShareOf(usable []*Candidate) Share {
	share := Evenly
	for _, c := range usable {
		switch {
		case c.Weight > 0:
			return ByWeight
		case c.RPM > 0:
			share = ByRPM
		case c.TPM > 0 && share == Evenly:
			share = ByTPM
		}
	}
	return share
}

// Of is the share of c.
func (s Share) Of(c *Candidate) float64 {
	switch s {
	case ByWeight:
		return c.Weight
	case ByRPM:
		return c.RPM
	case ByTPM:
		return c.TPM
	}
	return 1
}

// Random gives numbers in [0,1); nil is math/rand/v2's.
type Random func() float64

func (r Random) draw() float64 {
	if r == nil {
		return rand.Float64()
	}
	return r()
}

func (r Random) less(than float64) bool { return r.draw() < than }

// draw picks one of usable at random, by share; in slow start it counts for less.
func (s Share) draw(now time.Time, usable []*Candidate, random Random) *Candidate {
	return s.at(now, usable, random.draw()*s.total(now, usable))
}

// total is the sum of all shares.
func (s Share) total(now time.Time, usable []*Candidate) float64 {
	total := 0.0
	for _, c := range usable {
		total += s.Of(c) * c.Cooldown.Ramp(now)
	}
	return total
}

// at is the candidate at a point between zero and the total.
func (s Share) at(now time.Time, usable []*Candidate, point float64) *Candidate {
	last := usable[0]
	for _, c := range usable {
		part := s.Of(c) * c.Cooldown.Ramp(now)
		if part <= 0 {
			continue
		}
		last = c
		if point -= part; point < 0 {
			break
		}
	}
	return last // also where rounding leaves a rest above the last one
}

// warm tells whether c is to be looked at for this request. In slow start it is
// for a part of them, which rises with the ramp.
func warm(now time.Time, c *Candidate, random Random) bool {
	ramp := c.Cooldown.Ramp(now)
	return ramp >= 1 || random.less(ramp)
}

// tie breaks ties among any number of equals one by one, so that each wins with the
// probability of its share. The one that has won so far stays the winner up to a total
// with the probability that its own total has to that one: where it loses is drawn at
// once, and all before costs next to nothing, also where all are equal, as in an idle
// pool. It is reservoir sampling with skips (Vitter, "Random Sampling with a
// Reservoir", 1985) of a single item, by weight.
type tie struct {
	random Random
	total  float64 // the shares of all equals so far
	until  float64 // the total at which the winner loses; 0 is yet to be drawn
}

// first begins anew with one that is better than all before.
func (t *tie) first(share float64) { t.total, t.until = share, 0 }

// next tells whether another equal takes the place of the one that has won so far.
func (t *tie) next(share float64) bool {
	if t.until == 0 {
		t.until = t.total / (1 - t.random.draw())
	}
	if t.total += share; t.total < t.until {
		return false
	}
	t.until = 0
	return true
}

// lowest picks the candidate with the lowest score, and of equals one at random,
// by share.
func lowest(now time.Time, usable []*Candidate, random Random, score func(c *Candidate, share float64) float64) *Candidate {
	if len(usable) == 1 {
		return usable[0]
	}
	by, tie := ShareOf(usable), tie{random: random}
	var best *Candidate
	least := math.Inf(1)
	for _, c := range usable {
		share := by.Of(c)
		if share <= 0 || c.Cooldown.Ramp(now) < 1 && !warm(now, c, random) {
			continue
		}
		switch s := score(c, share); {
		case best == nil || s < least:
			best, least = c, s
			tie.first(share)
		case s == least && tie.next(share):
			best = c
		}
	}
	if best == nil { // all in slow start, and none of them warm enough this time
		return by.draw(now, usable, random)
	}
	return best
}
