package health

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// t0 is when tests begin: the start of a bucket of a one-minute window.
var t0 = origin.Truncate(0).Add(-1000 * time.Hour)

func begin(t *testing.T, c *Cooldown, now time.Time) Ticket {
	t.Helper()
	ticket, ok := c.Begin(now)
	if !ok {
		t.Fatalf("begin at %v refused, state %v", now.Sub(t0), c.State(now))
	}
	return ticket
}

func succeed(c *Cooldown, now time.Time) {
	if ticket, ok := c.Begin(now); ok {
		ticket.Succeed(now)
	}
}

// fail is one request that fails with no stated wait.
func fail(c *Cooldown, now time.Time, class retry.Class) Effect {
	return failWith(c, now, Failure{Class: class})
}

func failWith(c *Cooldown, now time.Time, f Failure) Effect {
	ticket, ok := c.Begin(now)
	if !ok {
		return Effect{}
	}
	return ticket.Fail(now, f)
}

func stated(class retry.Class, wait time.Duration) Failure {
	return Failure{Class: class, Wait: wait, Stated: true}
}

func notSpare() bool { return false }

// wantCooling checks all that can be seen of a cooldown, up to its last moment.
func wantCooling(t *testing.T, c *Cooldown, now time.Time, left time.Duration, reason retry.Class) {
	t.Helper()
	if got := c.Remaining(now); got != left {
		t.Errorf("remaining: got %v, want %v", got, left)
	}
	if got := c.Reason(); got != reason {
		t.Errorf("reason: got %v, want %v", got, reason)
	}
	for _, at := range []time.Time{now, now.Add(left - 1)} {
		if got := c.State(at); got != Cooling {
			t.Errorf("state after %v: got %v, want cooling", at.Sub(now), got)
		}
		if c.Usable(at) {
			t.Errorf("usable after %v of %v", at.Sub(now), left)
		}
		if _, ok := c.Begin(at); ok {
			t.Errorf("begin allowed after %v of %v", at.Sub(now), left)
		}
	}
	end := now.Add(left)
	if got := c.State(end); got != Usable || !c.Usable(end) {
		t.Errorf("state at the end: got %v, usable %v", got, c.Usable(end))
	}
	if got := c.Remaining(end); got != 0 {
		t.Errorf("remaining at the end: got %v, want 0", got)
	}
}

func wantUsable(t *testing.T, c *Cooldown, now time.Time) {
	t.Helper()
	if got := c.State(now); got != Usable || !c.Usable(now) {
		t.Errorf("state: got %v, usable %v, want usable", got, c.Usable(now))
	}
	if got := c.Remaining(now); got != 0 {
		t.Errorf("remaining: got %v, want 0", got)
	}
}

func TestNewDeploymentIsUsable(t *testing.T) {
	c := New(nil)
	wantUsable(t, c, t0)
	if got := c.Reason(); got != retry.None {
		t.Errorf("reason: got %v, want none", got)
	}
	if got := c.Ramp(t0); got != 1 {
		t.Errorf("ramp: got %v, want 1", got)
	}
}

func TestOff(t *testing.T) {
	off := config(func(c *Config) { c.Off = true })
	t.Run("nothing cools", func(t *testing.T) {
		c := New(off)
		for class := range retry.NumClasses {
			for range 20 {
				if effect := failWith(c, t0, stated(class, time.Minute)); effect != (Effect{}) {
					t.Fatalf("%v: got %+v", class, effect)
				}
			}
		}
		if effect := c.Cool(t0, retry.RateLimit, time.Minute); effect != (Effect{}) {
			t.Errorf("from outside: got %+v", effect)
		}
		wantUsable(t, c, t0)
	})
	t.Run("ends a cooldown at once", func(t *testing.T) {
		c := New(nil)
		before := begin(t, c, t0)
		fail(c, t0, retry.Quota)
		c = c.Under(off)
		wantUsable(t, c, t0)
		if effect := before.Fail(t0, stated(retry.RateLimit, time.Minute)); effect.Cooled {
			t.Error("a late failure cooled")
		}
	})
}

func TestUnderAnotherConfig(t *testing.T) {
	t.Run("keeps a running cooldown", func(t *testing.T) {
		c := New(nil)
		fail(c, t0, retry.Quota)
		c = c.Under(config(func(c *Config) { c.Duration, c.Max = time.Second, time.Second }))
		wantCooling(t, c, t0, 5*time.Minute, retry.Quota)
	})
	t.Run("keeps the counts", func(t *testing.T) {
		c := New(nil)
		for range 4 {
			fail(c, t0, retry.ServerError)
		}
		c = c.Under(config(func(c *Config) { c.Duration = time.Second }))
		if got := fail(c, t0, retry.ServerError); got != (Effect{Cooled: true, For: time.Second}) {
			t.Errorf("got %+v, want cooled for 1s", got)
		}
	})
	t.Run("starts another window with empty counts", func(t *testing.T) {
		c := New(nil)
		for range 4 {
			fail(c, t0, retry.ServerError)
		}
		c = c.Under(config(func(c *Config) { c.Window = 2 * time.Minute }))
		if got := c.Counts(t0); got != (Counts{}) {
			t.Errorf("got %+v, want nothing", got)
		}
	})
	t.Run("nil is the default", func(t *testing.T) {
		c := New(config(func(c *Config) { c.Off = true }))
		c = c.Under(nil)
		if !fail(c, t0, retry.Auth).Cooled {
			t.Error("still off")
		}
	})
}

func TestCoolFromOutside(t *testing.T) {
	t.Run("cools for as long as it says", func(t *testing.T) {
		c := New(nil)
		if got := c.Cool(t0, retry.RateLimit, time.Hour); got != (Effect{Cooled: true, For: time.Hour}) {
			t.Errorf("got %+v, want cooled for 1h", got)
		}
		wantCooling(t, c, t0, time.Hour, retry.RateLimit)
	})
	t.Run("the later end holds", func(t *testing.T) {
		c := New(nil)
		c.Cool(t0, retry.RateLimit, time.Minute)
		if got := c.Cool(t0.Add(time.Second), retry.Auth, 59*time.Second); got.Cooled {
			t.Errorf("the same end again: got %+v", got)
		}
		wantCooling(t, c, t0, time.Minute, retry.RateLimit)
		if got := c.Cool(t0.Add(time.Second), retry.Auth, time.Minute); got != (Effect{Cooled: true, For: time.Minute}) {
			t.Errorf("a later end: got %+v", got)
		}
		wantCooling(t, c, t0.Add(time.Second), time.Minute, retry.Auth)
	})
	t.Run("nothing is no cooldown", func(t *testing.T) {
		c := New(nil)
		for _, d := range []time.Duration{0, -1, -1 << 63} {
			if got := c.Cool(t0, retry.RateLimit, d); got.Cooled {
				t.Errorf("%v cooled", d)
			}
		}
		wantUsable(t, c, t0)
	})
	t.Run("eternity does not overflow", func(t *testing.T) {
		c := New(nil)
		now := time.Now()
		c.Cool(now, retry.Quota, 1<<63-1)
		if c.Usable(now) || c.Usable(now.Add(50*365*24*time.Hour)) {
			t.Error("usable")
		}
	})
}

func TestRestore(t *testing.T) {
	c := New(config(func(c *Config) { c.SlowStart = 10 * time.Second }))
	if c.Restore(t0) {
		t.Error("restored what was usable")
	}
	if got := c.Ramp(t0); got != 1 {
		t.Errorf("ramp of what was usable: got %v, want 1", got)
	}
	for range 4 {
		fail(c, t0, retry.ServerError)
	}
	fail(c, t0, retry.Quota)
	now := t0.Add(time.Second)
	if !c.Restore(now) {
		t.Error("not restored")
	}
	wantUsable(t, c, now)
	if got := c.Counts(now); got != (Counts{}) {
		t.Errorf("counts: got %+v, want nothing", got)
	}
	if got := c.Ramp(now); got != 0.1 {
		t.Errorf("ramp: got %v, want 0.1", got)
	}
	if _, ok := c.Begin(now); !ok {
		t.Error("begin refused")
	}
	if _, ok := c.Begin(now); !ok {
		t.Error("second begin refused: still half-open")
	}
}

func TestStateString(t *testing.T) {
	for state, want := range map[State]string{Usable: "usable", Cooling: "cooling", Probing: "probing", 7: "unknown"} {
		if got := state.String(); got != want {
			t.Errorf("state %d: got %q, want %q", state, got, want)
		}
	}
}
