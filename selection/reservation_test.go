package selection

import (
	"context"
	"errors"
	"testing"
	"time"
)

func reserve(t testing.TB, l *Limiter, now time.Time, tokens int) Reservation {
	t.Helper()
	r, ok := l.Reserve(now, tokens)
	if !ok {
		t.Fatalf("%d tokens do not fit", tokens)
	}
	return r
}

func used(t testing.TB, m *Minute, now time.Time, requests, tokens int64) {
	t.Helper()
	if r, n := m.Used(now); r != requests || n != tokens {
		t.Errorf("got %d requests and %d tokens used, want %d and %d", r, n, requests, tokens)
	}
}

func TestReservation(t *testing.T) {
	for _, test := range []struct {
		name             string
		settle           func(*Reservation)
		requests, tokens int64
	}{
		{"kept", func(r *Reservation) { r.Keep() }, 1, 50},
		{"left alone", func(*Reservation) {}, 1, 50},
		{"less was used", func(r *Reservation) { r.Settle(10) }, 1, 10},
		{"more was used", func(r *Reservation) { r.Settle(900) }, 1, 900},
		{"nothing was used", func(r *Reservation) { r.Settle(0) }, 1, 0},
		{"nothing was sent", func(r *Reservation) { r.Cancel() }, 0, 0},
		{"the first word counts", func(r *Reservation) { r.Settle(10); r.Settle(99); r.Cancel(); r.Keep() }, 1, 10},
		{"kept and then settled", func(r *Reservation) { r.Keep(); r.Settle(99) }, 1, 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Minute
			r := reserve(t, m.Limit(10, 100), noon, 50)
			test.settle(&r)
			used(t, &m, noon, test.requests, test.tokens)
			used(t, &m, noon.Add(minuteSeconds*time.Second), 0, 0)
		})
	}
	t.Run("settled in a later second, it leaves with its own", func(t *testing.T) {
		var m Minute
		r := reserve(t, m.Limit(10, 100), noon, 50)
		used(t, &m, noon.Add(30*time.Second), 1, 50)
		r.Settle(10)
		used(t, &m, noon.Add(60*time.Second), 1, 10)
		used(t, &m, noon.Add(61*time.Second), 0, 0)
	})
	t.Run("settled after its minute, it changes nothing", func(t *testing.T) {
		var m Minute
		l := m.Limit(10, 100)
		r := reserve(t, l, noon, 50)
		later := noon.Add(time.Hour)
		reserve(t, l, later, 7)
		r.Settle(90)
		used(t, &m, later, 1, 7)
	})
	t.Run("zero", func(t *testing.T) {
		var r Reservation
		r.Settle(1)
		r.Cancel()
		if _, ok := r.Confirm(t.Context()); !ok {
			t.Error("nothing reserved is refused")
		}
	})
}

// Other limits see at once what was sent under those before.
func TestLimitsOverTheSameMinute(t *testing.T) {
	var m Minute
	l := m.Limit(10, 0)
	for range 4 {
		reserve(t, l, noon, 0)
	}
	if lower := m.Limit(4, 0); lower.Fits(noon, 0) {
		t.Error("a lowered limit lets a fifth request through")
	}
	if raised := m.Limit(5, 0); !raised.Fits(noon, 0) {
		t.Error("a raised limit refuses the fifth request")
	}
}

// arbiter answers as it is told.
type arbiter struct {
	ok    bool
	wait  time.Duration
	err   error
	asked int
}

func (a *arbiter) Reserve(context.Context, int64, int64, int64) (bool, time.Duration, error) {
	a.asked++
	return a.ok, a.wait, a.err
}

func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		name     string
		arbiter  arbiter
		want     bool
		requests int64 // that this instance counts
		told     []Spent
	}{
		{"let through, and counted by the arbiter", arbiter{ok: true}, true, 1, nil},
		{"used up", arbiter{wait: 9 * time.Second}, false, 0, nil},
		{"nobody can tell", arbiter{err: errors.New("down")}, true, 1, []Spent{{Requests: 1, Tokens: 5}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m Minute
			m.Share()
			l := m.Limit(10, 100)
			l.AskFirst(&test.arbiter)
			r := reserve(t, l, noon, 5)
			wait, ok := r.Confirm(t.Context())
			if ok != test.want || wait != test.arbiter.wait {
				t.Errorf("got %v and a wait of %v, want %v and %v", ok, wait, test.want, test.arbiter.wait)
			}
			used(t, &m, noon, test.requests, 5*test.requests)
			sameSpent(t, m.TakeSpent(noon, nil), test.told)
		})
	}
	t.Run("what is settled later is told", func(t *testing.T) {
		var m Minute
		m.Share()
		l := m.Limit(10, 100)
		l.AskFirst(&arbiter{ok: true})
		r := reserve(t, l, noon, 5)
		r.Confirm(t.Context())
		r.Settle(8)
		sameSpent(t, m.TakeSpent(noon.Add(2*time.Second), nil), []Spent{{Age: 2, Tokens: 3}})
	})
	t.Run("without an arbiter nobody is asked", func(t *testing.T) {
		r := reserve(t, NewLimiter(1, 0), noon, 0)
		if _, ok := r.Confirm(t.Context()); !ok {
			t.Error("refused")
		}
	})
}
