package wholepath

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What the queue has to do with cooldowns, fallbacks, other deployments and
// reloads.

func TestQueueWaitsForACooldownThatEndsSoon(t *testing.T) {
	a := scripted.New(t).Then(limited("Retry-After", "1")).Always(scripted.OK("served"))
	s := routerWith(t, alone(a, "retries 0\nqueue 5 10s"))
	if g := ask(t, s, chatPath, plain); g.status != http.StatusTooManyRequests {
		t.Fatalf("got %d %s, want the refusal: who has been tried does not wait", g.status, g.body)
	}
	ask(t, s, chatPath, plain).served(t, "served", "a", 1, 0)
	all := a.Requests()
	if len(all) != 2 || all[1].At.Sub(all[0].At) < time.Second {
		t.Errorf("got %d requests, want a second one when the cooldown of 1s is over", len(all))
	}
}

func TestQueueDoesNotWaitForALongCooldown(t *testing.T) {
	a := scripted.New(t).Then(limited("Retry-After", "60")).Always(scripted.OK("served"))
	s := routerWith(t, alone(a, "retries 0\nqueue 5 10s"))
	ask(t, s, chatPath, plain)
	g := ask(t, s, chatPath, plain)
	g.turnedAway(t)
	if after := g.header.Get("Retry-After"); after != "60" && after != "59" || g.took > 5*time.Second {
		t.Errorf("got Retry-After %q after %v, want what is left of the minute, at once", after, g.took)
	}
}

// The queue is that of the pool that was asked for, whatever that of its fallback.
func TestQueueComesAfterFallbacks(t *testing.T) {
	for name, queue := range map[string]string{"without a queue": "queue off", "with one": "queue 1 1m"} {
		t.Run("to a pool "+name, func(t *testing.T) {
			a, b := scripted.New(t), scripted.New(t)
			atA, atB := make(gate), make(gate)
			a.Always(atA.holds(scripted.OK("served")))
			b.Always(atB.holds(scripted.OK("served")))
			l := &lane{t: t, a: a, gate: atA}
			l.Server = routerWith(t, fmt.Sprintf(`
				max_parallel 1
				queue 5 20s
				pool p {
					deployment a %s
					fallback q
				}
				pool q {
					deployment b %s
					%s
				}`, a.URL, b.URL, queue))
			first := l.hold(plain)
			second := l.send("second", plain)
			b.WaitCount(t, 1)
			third := l.send("third", plain)
			l.waiting(1)
			l.pass()
			first.served()
			l.pass()
			third.got().served(t, "served", "a", 1, 0)
			atB <- struct{}{}
			second.got().served(t, "served", "b", 1, 1)
			l.idle()
		})
	}
}

// Whichever deployment is free first serves who waits, the first order's no sooner
// than the second's.
func TestQueueWaitsForEveryDeployment(t *testing.T) {
	a, b := scripted.New(t), scripted.New(t)
	atA, atB := make(gate), make(gate)
	a.Always(atA.holds(scripted.OK("served")))
	b.Always(atB.holds(scripted.OK("served")))
	l := &lane{t: t, a: a, gate: atA}
	l.Server = routerWith(t, "max_parallel 1\nqueue 5 20s\n"+twoInOrder(a, b, ""))
	l.hold(plain)
	second := l.send("second", plain)
	b.WaitCount(t, 1)
	third := l.send("third", plain)
	l.waiting(1)
	atB <- struct{}{}
	second.got().served(t, "served", "b", 1, 0)
	b.WaitCount(t, 2)
	atB <- struct{}{}
	third.got().served(t, "served", "b", 1, 0)
	l.pass()
	l.idle()
}

func TestQueueSurvivesReload(t *testing.T) {
	l := newLane(t, "queue 5 20s", "")
	queue := poolOf(t, "p").Queue
	hold, first := l.hold(plain), l.send("first", plain)
	l.waiting(1)

	for _, parallel := range []int{1, 2} {
		l.reload(l.pools(parallel, "queue 9 20s", "deadline 1m"))
		if poolOf(t, "p").Queue != queue {
			t.Fatal("got another queue after a reload of the same pool")
		}
		l.waiting(1)
	}
	if err := l.TryReload(l.config(l.pools(1, "queue 9 20s", "default_fallback nowhere"))); err == nil {
		t.Fatal("a config with a fallback to nowhere loads")
	}
	l.waiting(1)

	// Who comes after the reload is behind who came before it, and has the new limit.
	second, third := l.send("second", plain), (*waiter)(nil)
	l.waiting(2)
	counts(t, "a", l.a, 1)
	l.pass()
	hold.served()
	l.a.WaitCount(t, 3)
	third = l.send("third", plain)
	l.waiting(1)
	for range 3 {
		l.pass()
	}
	for _, w := range []*waiter{first, second, third} {
		w.served()
	}
	l.idle()
	if got := l.names(); got[0] != "hold" || got[3] != "third" || !slices.Contains(got, "first") {
		t.Errorf("got the requests %v, want first and second together, and then third", got)
	}
}

// With the queue gone, those who wait are served, and nobody joins them.
func TestQueueEndsWithReload(t *testing.T) {
	l := newLane(t, "queue 5 20s", "")
	hold, first := l.hold(plain), l.send("first", plain)
	l.waiting(1)
	l.reload(l.pools(1, "queue off", ""))
	ask(t, l.Server, chatPath, plain).turnedAway(t)
	for _, w := range []*waiter{hold, first} {
		l.pass()
		w.served()
	}
	l.idle()
}

// An upgraded connection waits for its place, and takes it for as long as it lasts.
func TestQueueServesUpgrades(t *testing.T) {
	l := newLane(t, "queue 5 20s", "")
	hold := l.hold(plain)
	l.a.Then(upperCaser)
	queue := poolOf(t, "p").Queue
	go func() { // for the upgrade to come
		for queue.Waiting() == 0 && t.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		select {
		case l.gate <- struct{}{}:
		case <-t.Context().Done():
		}
	}()
	hangUp := (&pair{s: l.Server, u: l.a, scheme: "http"}).converses(t, "a", 1)
	hold.served()
	next := l.send("next", plain)
	l.waiting(1)
	counts(t, "a", l.a, 2)
	hangUp()
	l.pass()
	next.served()
	l.idle()
}
