package selection

import (
	"hash/maphash"
	"math"
	"slices"
)

// PrefixAffinity picks the candidate that is through with reading the prompt first:
// it adds what a candidate has to read of the prompt, without the beginning that it
// has in its cache, to the prompts that wait there to be read, for its share. So a
// conversation stays where it is until that place is busier than the cache is worth,
// and a beginning that everybody shares is soon everywhere. Of equals it picks the
// one with the least in flight, then one at random, by share.
type PrefixAffinity struct {
	// Table tells what candidates have in their caches. Several may share one.
	Table *PrefixTable
	// Balance bounds what affinity may do to the load: a candidate is passed over that
	// would carry more than this times its share of all requests in flight, and at
	// least four more than its share; 1.25 is a quarter more.
	Balance float64
	Random  Random
}

const (
	// slack is how many requests more than its share are no reason to pass over a
	// candidate: so many come together by chance, and model servers batch them.
	slack = 4
	// maxWarm is how many candidates are looked at that have a part of the prompt.
	maxWarm = 8
)

// warmth is what a candidate has of a prompt in its cache, in tokens.
type warmth struct {
	*Candidate
	cached int
}

// Pick implements Strategy.
func (p *PrefixAffinity) Pick(q *Query, usable []*Candidate) *Candidate {
	if len(usable) == 1 {
		return usable[0]
	}
	l := p.weigh(q, usable)
	var known [maxWarm]warmth
	holders, common := p.whoHas(q, usable, known[:0])
	best := pick{tie: tie{random: p.Random}}
	for _, c := range usable {
		l.offer(&best, c, q.Tokens-common)
	}
	for _, h := range holders {
		l.offer(&best, h.Candidate, q.Tokens-h.cached)
	}
	if best.Candidate == nil { // shares that are too small to be multiplied
		return usable[0]
	}
	return best.Candidate
}

// Sent implements Watcher: c will have the prompt in its cache.
func (p *PrefixAffinity) Sent(q *Query, c *Candidate) (unread int) {
	number, now, salt := c.numbered(), uint32(q.Now.Unix()), saltOf(q)
	unread = q.Tokens
	for _, prefix := range q.Prompt.Prefixes() {
		if p.Table.note(salted(prefix.Hash, salt), number, now) {
			unread = max(q.Tokens-prefix.Tokens, 0)
		}
	}
	return unread
}

// whoHas appends to known the candidates that have beginnings of the prompt, each
// with its longest, and tells how much of it everybody has.
func (p *PrefixAffinity) whoHas(q *Query, usable []*Candidate, known []warmth) (_ []warmth, common int) {
	now, salt := uint32(q.Now.Unix()), saltOf(q)
	var seen [maxWarm]uint32 // numbers that have been looked up
	n := 0
	for _, prefix := range slices.Backward(q.Prompt.Prefixes()) {
		e := p.Table.find(salted(prefix.Hash, salt))
		if e == nil {
			continue
		}
		for j := range e.holders {
			number, ok := p.Table.fresh(e.holders[j].Load(), now)
			switch {
			case !ok:
				continue
			case number == anybody:
				return known, prefix.Tokens
			case n == maxWarm:
				continue
			}
			if slices.Contains(seen[:n], number) {
				continue
			}
			seen[n] = number
			n++
			if i := slices.IndexFunc(usable, func(c *Candidate) bool { return c.number.Load() == number }); i >= 0 {
				known = append(known, warmth{usable[i], prefix.Tokens})
			}
		}
	}
	return known, 0
}

// loads is what all usable candidates carry together.
type loads struct {
	q       *Query
	by      Share
	balance float64
	// mean is the average of the shares, and fair how many requests in flight there
	// are to a share of 1, with the one that is to be sent.
	mean, fair float64
}

func (p *PrefixAffinity) weigh(q *Query, usable []*Candidate) loads {
	l := loads{q: q, by: ShareOf(usable), balance: p.Balance}
	shares, inFlight, n := 0.0, int64(1), 0.0
	for _, c := range usable {
		if share := l.share(c); share > 0 {
			shares += share
			inFlight += c.InFlight()
			n++
		}
	}
	l.mean, l.fair = shares/n, float64(inFlight)/shares
	return l
}

func (l *loads) share(c *Candidate) float64 { return l.by.Of(c) * c.Cooldown.Ramp(l.q.Now) }

// pick is the best candidate so far.
type pick struct {
	*Candidate
	unread, inFlight float64
	tie              tie
}

// offer compares c, which has unread tokens of the prompt to read, with the best so
// far.
func (l *loads) offer(best *pick, c *Candidate, unread int) {
	share := l.share(c)
	if share <= 0 {
		return
	}
	perShare := 1 / share
	inFlight, fair := float64(c.InFlight()), l.fair*share
	_, waiting := c.Unanswered()
	tokens := float64(max(unread, 0)) + float64(waiting)*l.mean*perShare
	if inFlight+1 > max(l.balance*fair, fair+slack) {
		tokens += math.MaxUint32 // after all others
	}
	inFlight *= perShare
	switch {
	case best.Candidate == nil, tokens < best.unread, tokens == best.unread && inFlight < best.inFlight:
		best.Candidate, best.unread, best.inFlight = c, tokens, inFlight
		best.tie.first(share)
	case tokens == best.unread && inFlight == best.inFlight && best.tie.next(share):
		best.Candidate = c
	}
}

var modelSeed = maphash.MakeSeed()

// saltOf tells apart what different models read.
func saltOf(q *Query) uint64 { return maphash.String(modelSeed, q.Model) }

// salted is never 0, which is an empty entry.
func salted(hash, salt uint64) uint64 { return max(hash^salt, 1) }
