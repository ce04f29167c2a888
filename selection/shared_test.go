package selection

import (
	"slices"
	"testing"
	"time"
)

func sameSpent(t testing.TB, got, want []Spent) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %+v to tell the others, want %+v", got, want)
	}
}

func TestTakeSpent(t *testing.T) {
	t.Run("nothing while nobody shares", func(t *testing.T) {
		var m Minute
		reserve(t, m.Limit(10, 0), noon, 5)
		sameSpent(t, m.TakeSpent(noon, nil), nil)
	})
	t.Run("by age, once, oldest first", func(t *testing.T) {
		var m Minute
		m.Share()
		l := m.Limit(100, 1000)
		first := reserve(t, l, noon, 5)
		reserve(t, l, noon, 6)
		reserve(t, l, noon.Add(3*time.Second), 7)
		now := noon.Add(5 * time.Second)
		sameSpent(t, m.TakeSpent(now, nil), []Spent{{5, 2, 11}, {2, 1, 7}})
		sameSpent(t, m.TakeSpent(now, nil), nil)
		first.Settle(1)
		sameSpent(t, m.TakeSpent(now, nil), []Spent{{5, 0, -4}})
	})
	t.Run("what has left the minute concerns nobody", func(t *testing.T) {
		var m Minute
		m.Share()
		reserve(t, m.Limit(10, 0), noon, 5)
		sameSpent(t, m.TakeSpent(noon.Add(61*time.Second), nil), nil)
	})
	t.Run("taken back", func(t *testing.T) {
		var m Minute
		m.Share()
		l := m.Limit(10, 0)
		reserve(t, l, noon, 5)
		spent := m.TakeSpent(noon, nil)
		reserve(t, l, noon.Add(time.Second), 1)
		m.Untake(noon.Add(time.Second), noon, spent)
		sameSpent(t, m.TakeSpent(noon.Add(time.Second), nil), []Spent{{1, 1, 5}, {0, 1, 1}})
	})
}

// The limit holds over what all instances use, wherever it is known by now.
func TestLimiterCountsOtherInstances(t *testing.T) {
	var m Minute
	m.Share()
	l := m.Limit(10, 0)
	reserve(t, l, noon, 0)
	m.SetTotal(noon, Total{Requests: 7}) // before the others have heard of ours
	used(t, &m, noon, 8, 0)
	spent := m.TakeSpent(noon, nil)
	used(t, &m, noon, 8, 0) // on its way
	m.SetTotal(noon, Total{Requests: 8})
	used(t, &m, noon, 8, 0) // and there
	reserve(t, l, noon, 0)
	reserve(t, l, noon, 0)
	if l.Fits(noon, 0) {
		t.Error("an eleventh request fits in a limit of ten")
	}
	m.Untake(noon, noon, spent)
	if l.Fits(noon, 0) {
		t.Error("an eleventh request fits because the others did not hear of one")
	}
}

func TestTotalIsForgotten(t *testing.T) {
	var m Minute
	m.Share()
	l := m.Limit(10, 0)
	m.SetTotal(noon, Total{Requests: 10, RequestsFree: 20 * time.Second})
	for _, test := range []struct {
		after, wait time.Duration
	}{
		{0, 20 * time.Second},
		{15 * time.Second, 5 * time.Second},
		{40 * time.Second, time.Second}, // should have come free: nobody has told
		{60 * time.Second, time.Second},
		{61 * time.Second, 0}, // nobody knows any more
	} {
		now := noon.Add(test.after)
		if got := l.Wait(now, 0); got != test.wait {
			t.Errorf("after %v: got a wait of %v, want %v", test.after, got, test.wait)
		}
		if got, want := l.Fits(now, 0), test.wait == 0; got != want {
			t.Errorf("after %v: fits %v, want %v", test.after, got, want)
		}
	}
}
