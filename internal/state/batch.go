package state

import "time"

// batch is what was taken from a deployment and has not arrived yet. It is sent
// with the same number until it has, so that Redis adds it once, even if an
// answer got lost or a Redis that was frozen wakes up to several copies.
type batch struct {
	number uint64
	taken  time.Time
	spent  []Spent
	asked  time.Time // when the minute was last asked for
	shun   time.Time // until when a key with something foreign is left alone
}

// take begins a new batch if the last one has arrived.
func (b *batch) take(now time.Time, d Shared) {
	if len(b.spent) > 0 {
		return
	}
	b.spent = d.TakeSpent(now, b.spent)
	b.taken = now
	if len(b.spent) > 0 {
		b.number++
	}
}

// giveBack returns what has not arrived.
func (b *batch) giveBack(now time.Time, d Shared) {
	older := int64(now.Sub(b.taken) / time.Second)
	for i := range b.spent {
		b.spent[i].Age += older
	}
	if len(b.spent) > 0 {
		d.Untake(now, b.spent)
		b.spent = b.spent[:0]
	}
}

// args appends ages, requests and tokens as the script takes them. The seconds
// of two clocks do not begin at the same moment: what was used is dated a second
// later and so frees late, and what was given back a second earlier, before what
// it belongs to. The limits hold either way.
func (b *batch) args(now time.Time, args []any) []any {
	passed := now.Sub(b.taken)
	younger := int64(passed / time.Second)
	older := int64((passed + time.Second - 1) / time.Second)
	add := func(age, requests, tokens int64) {
		if age < minuteBuckets && (requests != 0 || tokens != 0) {
			args = append(args, age, bounded(requests), bounded(tokens))
		}
	}
	for _, s := range b.spent {
		add(max(s.Age+younger-1, 0), max(s.Requests, 0), max(s.Tokens, 0))
		add(s.Age+older+1, min(s.Requests, 0), min(s.Tokens, 0))
	}
	return args
}

// maxBatch bounds what one second of a batch adds.
const maxBatch = 1e12

func bounded(n int64) int64 { return min(max(n, -maxBatch), maxBatch) }
