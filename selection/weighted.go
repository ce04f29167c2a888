package selection

// Weighted picks at random with a probability of share over the total of what is
// usable. A candidate in slow start counts for less.
type Weighted struct {
	Random Random `json:"-"`
}

// Pick implements Strategy.
func (w Weighted) Pick(q *Query, usable []*Candidate) *Candidate {
	if len(usable) == 1 {
		return usable[0]
	}
	return ShareOf(usable).draw(q.Now, usable, w.Random)
}

// Draw picks, of all candidates of a pool, as Pick does of what Filter leaves of them;
// nil is that they have to be filtered.
func (w Weighted) Draw(q *Query, lots *Lots) *Candidate { return lots.draw(q, w.Random) }
