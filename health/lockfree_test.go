package health

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestGoodPathDoesNotAllocate(t *testing.T) {
	c := New(nil)
	if got := testing.AllocsPerRun(100, func() {
		ticket, ok := c.Begin(t0)
		if ok && c.Usable(t0) && c.Ramp(t0) == 1 {
			ticket.Succeed(t0)
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// A held lock must not stop selection, nor requests that go well.
func TestGoodPathTakesNoLock(t *testing.T) {
	c, cooling := New(nil), New(nil)
	cooling.Cool(t0, retry.Auth, time.Minute)
	c.mu.Lock()
	cooling.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticket, _ := c.Begin(t0)
		ticket.Succeed(t0)
		other := c.BeginForced(t0)
		other.Release()
		for _, c := range []*Cooldown{c, cooling} {
			c.Usable(t0)
			c.State(t0)
			c.Remaining(t0)
			c.Reason()
			c.Ramp(t0)
			c.Counts(t0)
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the good path waits for the lock")
	}
}
