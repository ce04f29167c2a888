package selection

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is a query of nothing but a time.
func at(now time.Time) *Query { return &Query{Now: now} }

func candidate(id string, set ...func(*Candidate)) *Candidate {
	c := NewCandidate(id, new(State))
	for _, f := range set {
		f(c)
	}
	return c
}

func weight(w float64) func(*Candidate) { return func(c *Candidate) { c.Weight = w } }

func order(n int) func(*Candidate) { return func(c *Candidate) { c.Order = n } }

func window(n int) func(*Candidate) { return func(c *Candidate) { c.ContextWindow = n } }

func tagged(tags ...string) func(*Candidate) { return func(c *Candidate) { c.Tags = tags } }

func parallel(n int64) func(*Candidate) { return func(c *Candidate) { c.MaxParallel = n } }

func limit(rpm, tpm int64) func(*Candidate) {
	return func(c *Candidate) { c.Limiter = NewLimiter(rpm, tpm) }
}

func down(c *Candidate) { c.Healthy = func() bool { return false } }

func up(c *Candidate) { c.Healthy = func() bool { return true } }

func cool(c *Candidate) { c.Cooldown.Cool(noon, retry.Auth, time.Minute) }

func ids(list []*Candidate) string {
	s := ""
	for _, c := range list {
		s += c.ID
	}
	return s
}

func TestAcquire(t *testing.T) {
	c := candidate("a", parallel(2))
	for i, want := range []bool{true, true, false, false} {
		if got := c.Acquire(); got != want {
			t.Errorf("acquire %d: %v, want %v", i+1, got, want)
		}
	}
	if n := c.InFlight(); n != 2 {
		t.Errorf("%d in flight, want 2: a refusal takes no place", n)
	}
	c.Release()
	if !c.Acquire() {
		t.Error("a place that was given back is refused")
	}
	free := candidate("b")
	for range 1000 {
		if !free.Acquire() {
			t.Fatal("refused without a limit")
		}
	}
	if n := free.InFlight(); n != 1000 {
		t.Errorf("%d in flight, want 1000", n)
	}
}

// No more than MaxParallel hold a place at once, InFlight never says so, and
// with as many goroutines as places nobody is refused one.
func TestAcquireUnderConcurrency(t *testing.T) {
	for _, test := range []struct{ places, goroutines int }{{1, 8}, {3, 8}, {4, 4}} {
		t.Run(fmt.Sprintf("%d places for %d", test.places, test.goroutines), func(t *testing.T) {
			c := candidate("a", parallel(int64(test.places)))
			var held, most, refused atomic.Int64
			var wg sync.WaitGroup
			for range test.goroutines {
				wg.Go(func() {
					for range 20_000 {
						if n := c.InFlight(); n > int64(test.places) || n < 0 {
							most.Store(n)
						}
						if !c.Acquire() {
							refused.Add(1)
							continue
						}
						if n := held.Add(1); n > int64(test.places) {
							most.Store(n)
						}
						held.Add(-1)
						c.Release()
					}
				})
			}
			wg.Wait()
			if n := most.Load(); n != 0 {
				t.Errorf("%d in flight, want at most %d", n, test.places)
			}
			if n := refused.Load(); n > 0 && test.goroutines <= test.places {
				t.Errorf("%d refused although a place was free", n)
			}
			if n := c.InFlight(); n != 0 {
				t.Errorf("%d in flight at the end, want 0", n)
			}
		})
	}
}
