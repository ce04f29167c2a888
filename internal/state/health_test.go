package state

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

func TestOneInstanceLeadsAndAnotherTakesOver(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	_, la := a.attach(t, "k")
	_, lb := b.attach(t, "k")
	a.waitUp(t)
	b.waitUp(t)
	lead := func(l Link, lease time.Duration) bool {
		t.Helper()
		leads, err := l.Lead(t.Context(), lease)
		if err != nil {
			t.Fatal(err)
		}
		return leads
	}
	if !lead(la, time.Minute) || lead(lb, time.Minute) || !lead(la, 50*time.Millisecond) {
		t.Fatal("got a lease that is not the first one's")
	}
	redistest.WaitFor(t, "the lease to end", func() bool { return lead(lb, time.Minute) })
	if lead(la, time.Minute) {
		t.Error("got two instances that lead")
	}
	lead(lb, 0)
	redistest.WaitFor(t, "a lease that was given away", func() bool { return lead(la, time.Minute) })
}

func TestResultsAreTold(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	_, la := a.attach(t, "k")
	_, lb := b.attach(t, "k")
	if _, _, ok := lb.Result(); ok {
		t.Error("got a result before there was any")
	}
	for _, want := range []bool{false, true, false} {
		la.PublishResult(want, time.Minute)
		for _, l := range []Link{la, lb} {
			redistest.WaitFor(t, "the result", func() bool {
				healthy, age, ok := l.Result()
				return ok && healthy == want && age >= 0 && age < time.Minute
			})
		}
	}
	c := open(t, addrs(server))
	_, lc := c.attach(t, "k")
	redistest.WaitFor(t, "the result of before", func() bool { healthy, _, ok := lc.Result(); return ok && !healthy })
	la.PublishResult(true, 50*time.Millisecond)
	redistest.WaitFor(t, "the result to be too old", func() bool { _, _, ok := lb.Result(); return !ok })
}
