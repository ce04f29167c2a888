package selection

import (
	"fmt"
	"math/rand/v2"
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
		later := noon.Add(time.Second)
		m.Untake(later, []Spent{{Age: 1, Requests: spent[0].Requests, Tokens: spent[0].Tokens}, {Age: 61, Requests: 9}, {Age: -1, Requests: 9}})
		sameSpent(t, m.TakeSpent(later, nil), []Spent{{1, 1, 5}, {0, 1, 1}})
	})
}

// The limit holds over what all instances use, wherever it is known by now.
func TestLimiterCountsOtherInstances(t *testing.T) {
	var m Minute
	m.Share()
	l := m.Limit(10, 0)
	reserve(t, l, noon, 3)
	m.SetShared(noon, []Spent{{30, 4, 40}, {0, 3, 2}}) // before the others have heard of ours
	used(t, &m, noon, 8, 45)
	spent := m.TakeSpent(noon, nil)
	used(t, &m, noon, 8, 45) // on its way
	m.SetShared(noon, []Spent{{30, 4, 40}, {0, 4, 5}})
	used(t, &m, noon, 8, 45) // and there
	reserve(t, l, noon, 0)
	reserve(t, l, noon, 0)
	if l.Fits(noon, 0) {
		t.Error("an eleventh request fits in a limit of ten")
	}
	m.Untake(noon, spent)
	if l.Fits(noon, 0) {
		t.Error("an eleventh request fits because the others did not hear of one")
	}
	m.SetShared(noon, nil) // whoever counts for all has lost its memory
	used(t, &m, noon, 3, 3)
}

func TestSharedMinuteSlides(t *testing.T) {
	began := noon.Add(300 * time.Millisecond) // the seconds of another clock
	var m Minute
	m.Share()
	l := m.Limit(10, 100)
	m.SetShared(began, []Spent{{61, 99, 99}, {60, 4, 0}, {40, 5, 50}, {0, 1, 45}, {-1, 99, 99}})
	const ms = time.Millisecond
	for _, test := range []struct {
		after            time.Duration // since began
		requests, tokens int64
		wait, waitFor50  time.Duration // for no token, for 50
	}{
		{0, 10, 95, time.Second, 21 * time.Second},
		{999 * ms, 10, 95, ms, 20001 * ms},
		{time.Second, 6, 95, 0, 20 * time.Second},
		{20999 * ms, 6, 95, 0, ms},
		{21 * time.Second, 1, 45, 0, 0},
		{60999 * ms, 1, 45, 0, 0},
		{61 * time.Second, 0, 0, 0, 0},
		{time.Hour, 0, 0, 0, 0},
	} {
		now := began.Add(test.after)
		used(t, &m, now, test.requests, test.tokens)
		for tokens, want := range map[int]time.Duration{0: test.wait, 50: test.waitFor50} {
			if got := l.Wait(now, tokens); got != want {
				t.Errorf("after %v: got a wait of %v for %d tokens, want %v", test.after, got, tokens, want)
			}
			if got := l.Fits(now, tokens); got != (want == 0) {
				t.Errorf("after %v: %d tokens fit: %v, want %v", test.after, tokens, got, want == 0)
			}
		}
	}
}

// What other instances took too much of, and gave back, is no credit.
func TestSharedMinuteBelowNothing(t *testing.T) {
	var m Minute
	m.Share()
	l := m.Limit(0, 10)
	m.SetShared(noon, []Spent{{0, 0, -50}})
	used(t, &m, noon, 0, 0)
	reserve(t, l, noon, 10)
	if l.Fits(noon, 1) {
		t.Error("eleven tokens fit in a limit of ten")
	}
}

// However this instance and others use the limits and hear of each other, a
// request fits exactly when it need not wait, and after its wait.
func TestSharedWaits(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			var m Minute
			m.Share()
			l := m.Limit(int64(1+rnd.IntN(30)), int64(1+rnd.IntN(500)))
			now := noon
			var onItsWay []Spent
			var taken time.Time
			for range 2000 {
				now = now.Add(time.Duration(rnd.IntN(3000)) * time.Millisecond)
				tokens := rnd.IntN(60)
				switch rnd.IntN(8) {
				case 0:
					if onItsWay == nil {
						onItsWay, taken = m.TakeSpent(now, nil), now
					}
				case 1:
					var minute []Spent
					for age := int64(60); age >= 0; age -= 1 + rnd.Int64N(30) {
						minute = append(minute, Spent{age, rnd.Int64N(5), rnd.Int64N(90)})
					}
					onItsWay = nil
					m.SetShared(now.Add(-time.Duration(rnd.IntN(1000))*time.Millisecond), minute)
				case 2:
					for i := range onItsWay {
						onItsWay[i].Age += now.Unix() - taken.Unix()
					}
					m.Untake(now, onItsWay)
					onItsWay = nil
				}
				wait := l.Wait(now, tokens)
				if fits := l.Fits(now, tokens); fits != (wait == 0) || wait < 0 || wait > 61*time.Second {
					t.Fatalf("fits %v, wait %v", fits, wait)
				}
				if r, ok := l.Reserve(now, tokens); ok && rnd.IntN(2) == 0 {
					r.Settle(rnd.Int64N(80))
				}
				if rnd.IntN(20) == 0 {
					wait = l.Wait(now, tokens)
					if now = now.Add(wait); !l.Fits(now, tokens) {
						t.Fatalf("does not fit after the wait of %v", wait)
					}
				}
			}
		})
	}
}
