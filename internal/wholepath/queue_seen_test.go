package wholepath

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Who waits shows on the page of metrics and in the status, and so does that the
// deployment is full.
func TestQueueIsSeen(t *testing.T) {
	l := &lane{t: t, a: scripted.New(t), gate: make(gate)}
	l.a.Always(l.holds(scripted.OK("served")))
	l.Server = caddyharness.Load(t, observed(l.pools(1, "queue 5 20s", "")), caddyharness.WithAdmin())
	depth := func(want float64) {
		t.Helper()
		now, raw := statusOf(t, l.Server)
		if got := now.Pools[0].QueueDepth; float64(got) != want {
			t.Errorf("got %d waiting in the status, want %v: %s", got, want, raw)
		}
		if got := scrape(t, l.Server)[`queue_depth{pool="p"}`]; got != want {
			t.Errorf("got %v waiting on the page, want %v", got, want)
		}
	}
	hold := l.hold(plain)
	depth(0)
	first, second := l.send("first", plain), l.send("second", plain)
	l.waiting(2)
	depth(2)
	if d := deploymentOf(t, l.Server, "p", "a"); d.State != "full" || d.InFlight != 1 {
		t.Errorf("got %s with %d in flight, want full with 1", d.State, d.InFlight)
	}
	for range 3 {
		l.pass()
	}
	for _, w := range []*waiter{hold, first, second} {
		w.served()
	}
	l.idle()
	depth(0)
}
