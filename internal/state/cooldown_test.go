package state

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestCooldownsAreTold(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	da, la := a.attach(t, "k")
	db, lb := b.attach(t, "k")
	b.listens(t)

	la.Cooled(retry.RateLimit, time.Minute)
	redistest.WaitFor(t, "the cooldown", func() bool { _, n, _ := db.times(); return n == 1 })
	if left := db.cooled[0]; db.class != retry.RateLimit || left > time.Minute || left < 50*time.Second {
		t.Errorf("got a cooldown of %v for %v, want %v for a minute", db.class, left, retry.RateLimit)
	}

	lb.Restored()
	a.listens(t)
	redistest.WaitFor(t, "the end", func() bool { _, _, n := da.times(); return n > 0 })
	if n := plainClient(t, server.Addr()).Exists(t.Context(), "llm_router:{k}:cool").Val(); n != 0 {
		t.Error("got a key for a cooldown that is over")
	}
	if _, cooled, restored := da.times(); cooled != 0 || restored != 1 {
		t.Errorf("got %d cooldowns and %d ends, want none of its own and one end", cooled, restored)
	}
}

// listens waits until the store hears what others tell.
func (w *watched) listens(t testing.TB) {
	t.Helper()
	redistest.WaitFor(t, "the subscription", func() bool { return w.subscribed.Load() })
}

func TestTheLaterEndIsKept(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	_, la := a.attach(t, "k")
	db, _ := b.attach(t, "k")
	b.listens(t)
	left := func() time.Duration {
		return plainClient(t, server.Addr()).PTTL(t.Context(), "llm_router:{k}:cool").Val()
	}
	for i, step := range []struct{ cool, low, high time.Duration }{
		{time.Minute, 50 * time.Second, time.Minute},
		{time.Second, 50 * time.Second, time.Minute},
		{time.Hour, 59 * time.Minute, time.Hour},
		{100 * time.Hour, 23 * time.Hour, MaxCooldown},
	} {
		la.Cooled(retry.Quota, step.cool)
		redistest.WaitFor(t, "the cooldown", func() bool { _, n, _ := db.times(); return n == i+1 })
		if got := left(); got < step.low || got > step.high {
			t.Errorf("after a cooldown of %v: got %v left, want %v to %v", step.cool, got, step.low, step.high)
		}
	}
}

// Who comes later learns of a cooldown from its key, once.
func TestWhoComesLaterLearnsOfCooldowns(t *testing.T) {
	server := redistest.Start(t)
	a := open(t, addrs(server))
	_, la := a.attach(t, "k")
	la.Cooled(retry.Auth, time.Minute)
	redistest.WaitFor(t, "the key", func() bool {
		return plainClient(t, server.Addr()).Exists(t.Context(), "llm_router:{k}:cool").Val() == 1
	})
	b := open(t, addrs(server))
	db, _ := b.attach(t, "k")
	redistest.WaitFor(t, "the cooldown", func() bool { _, n, _ := db.times(); return n == 1 })
	if left := db.cooled[0]; db.class != retry.Auth || left > time.Minute || left < 50*time.Second {
		t.Errorf("got a cooldown of %v for %v, want %v for a minute", db.class, left, retry.Auth)
	}
	b.reconcile.Store(true)
	redistest.WaitFor(t, "another look", func() bool { return !b.reconcile.Load() })
	told, _, _ := db.times()
	redistest.WaitFor(t, "what comes after it", func() bool { n, _, _ := db.times(); return n > told })
	if _, n, _ := db.times(); n != 1 {
		t.Errorf("got %d cooldowns, want one", n)
	}
}

func TestCooldownsThatAreNone(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	_, la := a.attach(t, "k")
	db, _ := b.attach(t, "k")
	b.listens(t)
	for _, left := range []time.Duration{0, -time.Second, time.Microsecond} {
		la.Cooled(retry.Quota, left)
	}
	la.PublishResult(true, 0)
	la.Restored()
	redistest.WaitFor(t, "what was told last", func() bool { _, _, n := db.times(); return n == 1 })
	if _, n, _ := db.times(); n != 0 {
		t.Errorf("got %d cooldowns, want none", n)
	}
}
