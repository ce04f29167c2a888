package state

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how many reservations in a row may fail before the next ones
	// fail at once.
	patience = 3
	// They then do for minPause, and for twice as long each time that it happens
	// again within calm, up to maxPause.
	minPause = time.Second
	maxPause = time.Minute
	calm     = 5 * time.Minute
)

// foreignPause is how long nothing more is said of foreign values.
const foreignPause = time.Hour

// breaker knows whether Redis can be used, keeps requests from waiting for one
// that cannot, and tells of it once.
type breaker struct {
	away    atomic.Bool // known to be of no use now
	slow    atomic.Bool // because reservations failed
	reached atomic.Bool // has been of use at all
	misses  atomic.Int32

	mu        sync.Mutex // protects what follows
	since     time.Time  // when it went away
	pause     time.Duration
	until     time.Time // the end of the pause
	foreignAt time.Time
	observers []*Observer
}

func (b *breaker) up() bool   { return b.reached.Load() && !b.away.Load() }
func (b *breaker) down() bool { return b.away.Load() }

// miss takes note of a reservation that failed; the background's rounds find out
// when Redis is back.
func (b *breaker) miss(now time.Time, err error) {
	if b.misses.Add(1) < patience || !b.slow.CompareAndSwap(false, true) {
		return
	}
	b.mu.Lock()
	if now.Sub(b.until) > calm {
		b.pause = minPause
	} else {
		b.pause = min(2*b.pause, maxPause)
	}
	b.until = now.Add(b.pause)
	b.mu.Unlock()
	b.fail(now, err)
}

// tooSlow reports whether reservations have failed, so that it takes more than a
// good round to use Redis again.
func (b *breaker) tooSlow() bool { return b.slow.Load() }

func (b *breaker) fail(now time.Time, err error) {
	if !b.away.CompareAndSwap(false, true) {
		return
	}
	b.mu.Lock()
	b.since = now
	b.mu.Unlock()
	if o := b.observer(); o.Down != nil {
		o.Down(err)
	}
}

func (b *breaker) succeed(now time.Time) {
	b.reached.Store(true)
	b.mu.Lock()
	after, resting := now.Sub(b.since), now.Before(b.until)
	b.mu.Unlock()
	if resting {
		return
	}
	b.misses.Store(0)
	b.slow.Store(false)
	if !b.away.CompareAndSwap(true, false) {
		return
	}
	if o := b.observer(); o.Up != nil {
		o.Up(after)
	}
}

func (b *breaker) tellForeign(now time.Time, where string) {
	b.mu.Lock()
	told := !b.foreignAt.IsZero() && now.Sub(b.foreignAt) < foreignPause
	if !told {
		b.foreignAt = now
	}
	b.mu.Unlock()
	if o := b.observer(); !told && o.Foreign != nil {
		o.Foreign(where)
	}
}

func (b *breaker) observe(o Observer) (remove func()) {
	added := &o
	b.mu.Lock()
	defer b.mu.Unlock()
	b.observers = append(b.observers, added)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.observers = slices.DeleteFunc(b.observers, func(o *Observer) bool { return o == added })
	}
}

// observer is the one to tell. It is called without the lock, as it may take its
// time.
func (b *breaker) observer() Observer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.observers); n > 0 {
		return *b.observers[n-1]
	}
	return Observer{}
}
