package queue

import (
	"cmp"
	"slices"
)

// teams shares what is granted among those who wait, by tokens: whoever of them
// is least ahead goes first. While two teams have waiters of the same priority
// who could be served by the same capacity, what the two are granted differs by
// at most the largest request of the one plus the largest of the other.
//
// The zero value has no teams.
type teams struct {
	named   map[string]*team
	ranked  []*team // all of them, as level left them and who has come since
	idle    int     // how many of them have no waiters
	largest int64   // the most that one request was charged
}

// team is whom requests are for.
type team struct {
	name    string
	waiting int
	ahead   int64 // tokens granted beyond those of who has waiters and the fewest
}

// mostIdle bounds how many teams are remembered for being ahead though none of
// their requests waits. What others are ahead is forgiven.
const mostIdle = 256

// mostTokens bounds what one request is charged, so that sums cannot overflow.
const mostTokens = 1 << 30

// join counts one more waiter of a team. A team without waiters saves nothing up:
// it begins where the one begins that has been given the least.
func (ts *teams) join(name string) *team {
	t := ts.named[name]
	if t == nil || t.waiting == 0 {
		ts.level() // which may forget it
		t = ts.remember(name)
		ts.idle--
	}
	t.waiting++
	return t
}

// remember finds a team, or begins one that is ahead of nobody.
func (ts *teams) remember(name string) *team {
	t := ts.named[name]
	if t == nil {
		if ts.named == nil {
			ts.named = make(map[string]*team)
		}
		t = &team{name: name}
		ts.named[name] = t
		ts.ranked = append(ts.ranked, t)
		ts.idle++
	}
	return t
}

// quit counts one waiter less of a team.
func (ts *teams) quit(t *team) {
	if t.waiting--; t.waiting > 0 {
		return
	}
	if ts.idle++; ts.idle > mostIdle {
		i := slices.Index(ts.ranked, t)
		ts.ranked = slices.Delete(ts.ranked, i, i+1)
		ts.forget(t)
	}
}

// forget ends what is known of a team without waiters, but for its rank.
func (ts *teams) forget(t *team) {
	delete(ts.named, t.name)
	ts.idle--
}

// charge counts a granted request. It is charged when it is granted and not when
// it comes, for it may leave.
func (ts *teams) charge(t *team, tokens int64) {
	tokens = min(max(tokens, 1), mostTokens)
	ts.largest = max(ts.largest, tokens)
	t.ahead += tokens
}

// level ranks teams anew, from the one with waiters that is least ahead. It
// forgets those without waiters who are not ahead of it, and closes gaps that are
// wider than fairness makes them: a team that could not be served for a while
// must not have everything to itself afterwards, nor one that used what nobody
// else can be left out. Closing the gap, and not moving one team, keeps the
// differences on either side of it.
func (ts *teams) level() {
	slices.SortFunc(ts.ranked, func(a, b *team) int { return cmp.Compare(a.ahead, b.ahead) })
	least := slices.IndexFunc(ts.ranked, func(t *team) bool { return t.waiting > 0 })
	if least < 0 {
		*ts = teams{}
		return
	}
	for _, t := range ts.ranked[:least] {
		ts.forget(t)
	}
	ts.ranked = slices.Delete(ts.ranked, 0, least)

	surplus, below := ts.ranked[0].ahead, int64(0)
	for _, t := range ts.ranked {
		t.ahead -= surplus
		if gap := t.ahead - below; gap > 2*ts.largest {
			surplus += gap - 2*ts.largest
			t.ahead -= gap - 2*ts.largest
		}
		below = t.ahead
	}
}
