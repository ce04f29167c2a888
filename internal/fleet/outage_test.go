package fleet

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Whatever becomes of Redis, requests are answered in time, also where limits are
// strict, and it is said once for each outage.
func TestRedisIsNeverInTheWay(t *testing.T) {
	server, first, second := redistest.Start(t), scripted.New(t), scripted.New(t)
	pools := limited("busy", second, 1_000_000) + twoInOrder("p", first, second, "")
	f := start(t, "redis "+server.URL()+" {\n strict\n}", pools)
	f.connected(t, server)
	l := f.load("busy", 150)

	server.Freeze(t)
	f.said(t, "warn", 1)
	l.goesOn(t)
	server.Thaw(t)
	f.said(t, "info", 1)
	l.goesOn(t)

	server.Kill()
	f.said(t, "warn", 2)
	l.goesOn(t)
	server.Restart(t) // empty
	f.said(t, "info", 2)
	l.goesOn(t)

	l.wantUnharmed(t)
	f.saidNoMore(t, 2, 2)
	f.connected(t, server)
	f.spreads(t, 1, "p", first)
	redistest.WaitFor(t, "the counters in the new Redis", func() bool { return server.Do(t, "KEYS", "llm_router:{busy/*:use") == "*1" })
}

func TestRedisThatIsNotThereAtTheStart(t *testing.T) {
	server, first, second := redistest.Start(t), scripted.New(t), scripted.New(t)
	server.Kill()
	f := start(t, "redis "+server.URL(), limited("few", second, 5)+twoInOrder("p", first, second, ""))
	f.said(t, "warn", 1)
	for _, i := range f { // each of them by what it knows
		for n := range 6 {
			want := 200
			if n == 5 {
				want = 429
			}
			if g := i.ask("few"); g.status != want {
				t.Errorf("request %d of instance %s: got %+v, want %d", n, i.name, g, want)
			}
		}
	}
	server.Restart(t)
	f.said(t, "info", 1)
	f.connected(t, server)
	f.spreads(t, 0, "p", first)
	f.saidNoMore(t, 1, 1)
}
