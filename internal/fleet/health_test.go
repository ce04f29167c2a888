package fleet

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// checked are the names of the instances that have checked the upstream's health,
// in order.
func checked(u *scripted.Upstream) []string {
	var by []string
	for _, r := range u.Requests() {
		if r.Path == "/health" {
			by = append(by, r.Header.Get("X-Instance"))
		}
	}
	return by
}

// leads waits until the last checks were all made by one instance, and tells
// which one that is.
func (f fleet) leads(t testing.TB, u *scripted.Upstream) (leader int) {
	t.Helper()
	const inARow = 6 // that the others would have come in between
	redistest.WaitFor(t, "one instance that checks for all", func() bool {
		by := checked(u)
		if len(by) < inARow {
			return false
		}
		last := by[len(by)-inARow:]
		for _, name := range last {
			if name != last[0] {
				return false
			}
		}
		for n, i := range f {
			if i.name == last[0] {
				leader = n
			}
		}
		return true
	})
	return leader
}

func TestOneInstanceChecksHealth(t *testing.T) {
	server, first, second := redistest.Start(t), scripted.New(t), scripted.New(t)
	const all = "all"
	var sickFor atomic.Value // the name of the instance that finds it down
	sickFor.Store("")
	first.Always(func(w http.ResponseWriter, r *http.Request) {
		if who := sickFor.Load(); r.URL.Path == "/health" && (who == all || who == r.Header.Get("X-Instance")) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		scripted.OK("ok")(w, r)
	})
	f := start(t, "redis "+server.URL(), twoInOrder("p", first, second,
		"health_uri /health\n health_interval 100ms\n health_timeout 2s\n health_headers {\n X-Instance NAME\n }\n"))
	f.connected(t, server)
	served := func(by string) {
		t.Helper()
		for _, i := range f {
			redistest.WaitFor(t, "an answer of the "+by+" deployment from instance "+i.name, func() bool {
				g := i.ask("p")
				if g.status != 200 {
					t.Fatalf("got %+v, want an answer", g)
				}
				return g.deployment == by
			})
		}
	}

	leader := f.leads(t, first)
	before := len(checked(first))
	redistest.WaitFor(t, "more checks", func() bool { return len(checked(first)) >= before+10 })
	strangers := 0
	for _, name := range checked(first)[before:] {
		if name != f[leader].name {
			strangers++
		}
	}
	if strangers > 1 { // one may have waited for the lease in vain
		t.Errorf("got %d of 10 checks that were not instance %s's, want one instance to check for all", strangers, f[leader].name)
	}
	sickFor.Store(all)
	served("second")
	sickFor.Store("")
	served("first")

	leader = f.leads(t, first)
	sickFor.Store(f[leader].name) // which alone cannot reach it
	redistest.WaitFor(t, "another leader", func() bool { return f.leads(t, first) != leader })
	served("first")
	sickFor.Store("")

	gone := f[f.leads(t, first)]
	gone.kill()
	began := time.Now()
	before = len(checked(first))
	f = slices.DeleteFunc(f, func(i *instance) bool { return i == gone })
	redistest.WaitFor(t, "a check by another instance", func() bool { return len(checked(first)) > before })
	t.Logf("instance %s checked for all; after it was killed, another one did in %v, with a lease of 2.1s", gone.name, time.Since(began))
	f.leads(t, first)
	sickFor.Store(all)
	served("second")
	sickFor.Store("")
	served("first")
}
