package wholepath

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	llmrouter "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What the tests of the queue have in common: a deployment that takes one request
// at a time and answers when it is told to, and a look at who waits.

// lane is a Caddy with a pool p of one deployment a.
type lane struct {
	*caddyharness.Server
	t testing.TB
	a *scripted.Upstream
	gate
	reloads int
}

// newLane runs a lane whose pool has this queue and policy; the router has its
// own settings.
func newLane(t testing.TB, queue, router string) *lane {
	t.Helper()
	l := &lane{t: t, a: scripted.New(t), gate: make(gate)}
	l.a.Always(l.holds(scripted.OK("served")))
	l.Server = routerWith(t, l.pools(1, queue, router))
	return l
}

func (l *lane) pools(parallel int, queue, router string) string {
	return fmt.Sprintf("%s\npool p {\n\tdeployment a %s\n\tmax_parallel %d\n\t%s\n}\n", router, l.a.URL, parallel, queue)
}

// reload loads a config whose router has these pools. It listens elsewhere: a
// server that ends drops what it accepts in its last moment.
func (l *lane) reload(pools string) {
	l.t.Helper()
	l.reloads++
	l.Reload(l.t, l.config(pools))
}

// config is a config that listens where the last one that was loaded does.
func (l *lane) config(pools string) string {
	return strings.Replace(configOf(pools), ":8080", fmt.Sprint(":", 8080+l.reloads), 1)
}

// gate holds answers back until they are let pass, one for each value sent.
type gate chan struct{}

// holds is a step that waits at the gate first, unless the client leaves.
func (g gate) holds(step scripted.Step) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-g:
			step(w, r)
		case <-r.Context().Done():
		}
	}
}

// pass lets the answer of one request pass; nobody to let pass fails the test.
func (l *lane) pass() {
	l.t.Helper()
	select {
	case l.gate <- struct{}{}:
	case <-time.After(askTimeout):
		l.t.Fatal("the deployment has no request to answer")
	}
}

// waiter is a request on its way.
type waiter struct {
	t     testing.TB
	leave context.CancelFunc
	done  chan got
}

// send sends a chat request of that name, which the deployment sees.
func (l *lane) send(name, body string, header ...string) *waiter {
	l.t.Helper()
	return l.sendTo(chatPath, name, body, header...)
}

func (l *lane) sendTo(path, name, body string, header ...string) *waiter {
	l.t.Helper()
	ctx, leave := context.WithTimeout(l.t.Context(), askTimeout)
	l.t.Cleanup(leave)
	w := &waiter{t: l.t, leave: leave, done: make(chan got, 1)}
	go func() {
		g, err := tryAsk(ctx, l.Server, path, body, append(header, "X-Name", name)...)
		if err != nil {
			g.err = err
		}
		w.done <- g
	}()
	return w
}

// got waits for the answer.
func (w *waiter) got() got {
	w.t.Helper()
	g := <-w.done
	w.done <- g // for who asks again
	return g
}

// served checks that the request is answered by the deployment at once when it has
// been sent.
func (w *waiter) served() {
	w.t.Helper()
	w.got().served(w.t, "served", "a", 1, 0)
}

// turnedAway checks an answer of the router's to a request that nothing took.
func (g got) turnedAway(t testing.TB) {
	t.Helper()
	if g.status != http.StatusTooManyRequests || g.field("error.code") != "rate_limit_exceeded" {
		t.Errorf("got status %d, body %q, error %v; want 429 with the code rate_limit_exceeded", g.status, g.body, g.err)
	}
	var seconds int
	if _, err := fmt.Sscan(g.header.Get("Retry-After"), &seconds); err != nil || seconds < 1 {
		t.Errorf("got Retry-After %q, want a number of seconds above 0", g.header.Get("Retry-After"))
	}
	if again := g.header.Get("X-Should-Retry"); again != "true" {
		t.Errorf("got X-Should-Retry %q, want true", again)
	}
	if pool := g.header.Get("X-LLM-Pool"); pool != "p" {
		t.Errorf("got X-LLM-Pool %q, want p", pool)
	}
	g.by(t, "", 0, 0)
}

// hold sends the request that takes the only place, and waits until it has.
func (l *lane) hold(body string) *waiter {
	l.t.Helper()
	n := l.a.Count()
	w := l.send("hold", body)
	l.a.WaitCount(l.t, n+1)
	return w
}

// waiting waits until so many wait in pool p.
func (l *lane) waiting(n int) {
	l.t.Helper()
	queue := poolOf(l.t, "p").Queue
	eventually(l.t, fmt.Sprint(n, " to wait"), 10*time.Second, func() bool { return queue.Waiting() == n })
}

// idle waits until pool p carries nothing and nobody waits.
func (l *lane) idle() {
	l.t.Helper()
	l.waiting(0)
	for _, c := range poolOf(l.t, "p").All() {
		eventually(l.t, "deployment "+c.ID+" to carry nothing", 10*time.Second, func() bool { return c.InFlight() == 0 })
	}
}

// names are the names of the requests that the deployment has had.
func (l *lane) names() []string {
	var names []string
	for _, r := range l.a.Requests() {
		names = append(names, r.Header.Get("X-Name"))
	}
	return names
}

// poolOf is a pool of the running config, as the engine knows it.
func poolOf(t testing.TB, name string) *engine.Pool {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		for _, route := range server.Routes {
			for _, handler := range route.Handlers {
				router, ok := handler.(*llmrouter.Handler)
				if !ok {
					continue
				}
				for _, pool := range router.Pools {
					if pool.Name == name {
						return pool.Engine()
					}
				}
			}
		}
	}
	t.Fatalf("the running config has no pool %s", name)
	return nil
}
