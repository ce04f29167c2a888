package selection

import (
	"math"
	"time"
)

// RoundRobin gives each candidate its exact share, evenly spread: of weights 5, 1
// and 1 each seven picks in a row have exactly five, one and one. Where one is out,
// the others keep their proportions; it comes back without making up for the time.
//
// Each candidate has its next turn on a line on which a share of 1 has a turn at
// every whole number and a half, one of 2 twice as often; the earliest turn is
// picked. Turns are part of the State, so that they go on when another
// configuration is loaded.
type RoundRobin struct{}

// Pick implements Strategy. A pick that comes to nothing is a turn all the same.
func (RoundRobin) Pick(q *Query, usable []*Candidate) *Candidate {
	by := ShareOf(usable)
	for {
		best, turn, passed := earliest(q.Now, by, usable)
		if best == nil {
			return usable[0]
		}
		step := stepOf(q.Now, by.Of(best), best)
		switch {
		case behind(turn, passed, step):
			bringForward(q.Now, by, usable, passed)
		case best.turn.CompareAndSwap(math.Float64bits(turn), math.Float64bits(turn+step)):
			return best
		} // else somebody else has had the turn
	}
}

// earliest finds whose turn is next, and how far the line has been picked.
func earliest(now time.Time, by Share, usable []*Candidate) (best *Candidate, turn, passed float64) {
	for _, c := range usable {
		share := by.Of(c)
		if share <= 0 {
			continue
		}
		at := turnOf(c)
		passed = max(passed, at-stepOf(now, share, c))
		if best == nil || at < turn {
			best, turn = c, at
		}
	}
	return best, turn, passed
}

// bringForward gives those that were out, and new ones, a turn as if theirs had
// come along with the others'.
func bringForward(now time.Time, by Share, usable []*Candidate, passed float64) {
	for _, c := range usable {
		if share := by.Of(c); share > 0 {
			if turn, step := turnOf(c), stepOf(now, share, c); behind(turn, passed, step) {
				c.turn.CompareAndSwap(math.Float64bits(turn), math.Float64bits(passed+step/2))
			}
		}
	}
}

// behind tells whether somebody has no turn yet or has missed some. Rounding alone
// leaves nobody behind by half a step.
func behind(turn, passed, step float64) bool { return turn == 0 || turn+step/2 < passed }

// stepOf is the distance between two turns of c; longer in slow start.
func stepOf(now time.Time, share float64, c *Candidate) float64 {
	return 1 / (share * c.Cooldown.Ramp(now))
}

func turnOf(c *Candidate) float64 { return math.Float64frombits(c.turn.Load()) }
