package selection

import "sort"

// Lots are the candidates of a pool's lowest order that have a share, to draw one
// before any has been looked at: among many that takes no longer than among a few.
// They are safe for concurrent use.
type Lots struct {
	candidates []*Candidate
	upTo       []float64 // the sum of the shares up to each and its own
}

// NewLots makes the lots of candidates.
func NewLots(all []*Candidate) *Lots {
	var lowest []*Candidate
	for _, c := range all {
		if len(lowest) > 0 && c.Order < lowest[0].Order {
			lowest = nil
		}
		if len(lowest) == 0 || c.Order == lowest[0].Order {
			lowest = append(lowest, c)
		}
	}
	l, by, total := new(Lots), ShareOf(lowest), 0.0
	for _, c := range lowest {
		if share := by.Of(c); share > 0 {
			total += share
			l.candidates, l.upTo = append(l.candidates, c), append(l.upTo, total)
		}
	}
	return l
}

// draws is how many lots are drawn before all candidates are looked at.
const draws = 4

// draw gives a usable candidate with the probability that it has among all usable ones:
// what is not usable is put back and drawn for again. One with a share that is usable
// also settles what the shares go by, and that its order is the lowest.
func (l *Lots) draw(q *Query, random Random) *Candidate {
	if len(l.candidates) == 0 {
		return nil
	}
	total := l.upTo[len(l.upTo)-1]
	for range draws {
		c := l.at(random.draw() * total)
		if q.Check(c) == Usable && warm(q.Now, c, random) {
			return c
		}
	}
	return nil
}

// at is the candidate at a point between zero and the total.
func (l *Lots) at(point float64) *Candidate {
	i := sort.Search(len(l.upTo)-1, func(i int) bool { return l.upTo[i] > point })
	return l.candidates[i]
}
