package state

import (
	"slices"
	"testing"
	"time"
)

func TestBatchArgs(t *testing.T) {
	b := batch{taken: noon, spent: []Spent{spent(0, 1, 10), spent(1, 2, 20), spent(30, 3, -5), spent(60, 1, 0), spent(60, -1, -7), spent(0, 0, 0), spent(5, 0, 1e18)}}
	for name, test := range map[string]struct {
		now  time.Time
		want []any
	}{
		"at once": {noon, []any{
			int64(0), int64(1), int64(10),
			int64(0), int64(2), int64(20), // dated a second later
			int64(29), int64(3), int64(0), // what was given back is not with it,
			int64(31), int64(0), int64(-5), // but a second earlier
			int64(59), int64(1), int64(0), // and no more when that is beyond the minute
			int64(4), int64(0), int64(maxBatch),
		}},
		"after two and a half seconds": {noon.Add(2500 * time.Millisecond), []any{
			int64(1), int64(1), int64(10),
			int64(2), int64(2), int64(20),
			int64(31), int64(3), int64(0),
			int64(34), int64(0), int64(-5),
			int64(6), int64(0), int64(maxBatch),
		}},
		"after more than a minute": {noon.Add(time.Hour), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := b.args(test.now, nil); !slices.Equal(got, test.want) {
				t.Errorf("got  %v\nwant %v", got, test.want)
			}
		})
	}
}

func TestBatchIsNumberedOnce(t *testing.T) {
	d := new(deployment)
	var b batch
	b.take(noon, d)
	if b.number != 0 {
		t.Errorf("got number %d of an empty batch, want 0", b.number)
	}
	d.use(1, 1)
	b.take(noon, d)
	d.use(5, 5)
	b.take(noon.Add(time.Second), d) // the first has not arrived
	if b.number != 1 || len(b.spent) != 1 {
		t.Errorf("got batch %d of %v, want the first one", b.number, b.spent)
	}
	b.giveBack(noon.Add(3*time.Second), d)
	if len(b.spent) != 0 || d.given != 1 || d.pending[1].Age != 3 {
		t.Errorf("got %v left and %v given back, want none and a request 3 seconds ago", b.spent, d.pending)
	}
}

func spent(age, requests, tokens int64) Spent {
	return Spent{Age: age, Requests: requests, Tokens: tokens}
}
