package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func usable(p *Pool) string {
	ids := ""
	for _, c := range p.All() {
		if c.Cooldown.Usable(time.Now()) {
			ids += c.ID
		}
	}
	return ids
}

func wantUsable(t *testing.T, p *Pool, want string) {
	t.Helper()
	if got := usable(p); got != want {
		t.Errorf("usable of %s: %q, want %q", p.Name, got, want)
	}
}

// hair cools at the first failure, so that only sparing keeps it.
func TestTheLastUsableDeploymentIsSpared(t *testing.T) {
	fail := func(t *testing.T, r *Router, s step) {
		t.Helper()
		serve(t.Context(), r, &Request{Model: "m", Repeated: true}, script(map[string][]step{"m/a": {s}, "m/b": {s}, "m/c": {s}}))
	}
	for _, test := range []struct {
		name string
		step step
		want string
	}{
		{"counts", fails(retry.ServerError), "b"},
		{"a 429 without a wait", fails(retry.RateLimit), "b"},
		{"a stated wait is believed", asks(retry.RateLimit, time.Second), ""},
		{"a stated wait of another class is believed", asks(retry.Overloaded, time.Second), ""},
		{"a bad key is not spared", fails(retry.Auth), ""},
		{"quota is not spared", fails(retry.Quota), ""},
		{"a model that is not there is not spared", fails(retry.NotFound), ""},
	} {
		bubble(t, "without a fallback: "+test.name, func(t *testing.T) {
			m := newPool("m", deployment("a", hair), deployment("b", hair))
			fail(t, newRouter(t, m), test.step)
			wantUsable(t, m, test.want)
		})
	}
	bubble(t, "for each team that would be left without", func(t *testing.T) {
		// both is blue's only one, although red has another.
		m := newPool("m", deployment("a", hair, teams("red", "blue")), deployment("b", order(2), teams("red")))
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Team: "red", Repeated: true}, script(map[string][]step{"m/a": {fails(retry.ServerError)}}))
		wantUsable(t, m, "ab")
	})
	bubble(t, "not with a fallback", func(t *testing.T) {
		m, f := newPool("m", deployment("a", hair), deployment("b", hair)), newPool("f", deployment("a"))
		m.Fallback = to(f)
		fail(t, newRouter(t, m, f), fails(retry.ServerError))
		wantUsable(t, m, "")
	})
	bubble(t, "not with a default fallback", func(t *testing.T) {
		m, f := newPool("m", deployment("a", hair)), newPool("f", deployment("a"))
		r := newRouter(t, m, f)
		r.Directory.Default = to(f)
		fail(t, r, fails(retry.ServerError))
		wantUsable(t, m, "")
	})
	for name, change := range map[string]func(m, f *Pool, r *Router){
		"a default fallback that is the pool itself": func(m, f *Pool, r *Router) { r.Directory.Default = to(m) },
		"a fallback for another team":                func(m, f *Pool, r *Router) { m.Fallback = to(f) },
		"max_fallbacks 0":                            func(m, f *Pool, r *Router) { m.Fallback, m.Policy.MaxFallbacks = to(r.Directory.names["g"]), 0 },
	} {
		bubble(t, "no fallback is "+name, func(t *testing.T) {
			m, f, g := newPool("m", deployment("a", hair)), newPool("f", deployment("a", teams("red"))), newPool("g", deployment("a"))
			r := newRouter(t, m, f, g)
			change(m, f, r)
			fail(t, r, fails(retry.ServerError))
			wantUsable(t, m, "a")
		})
	}
	bubble(t, "also where the others are unhealthy", func(t *testing.T) {
		m := newPool("m", deployment("a", hair), deployment("b", down))
		fail(t, newRouter(t, m), fails(retry.ServerError))
		wantUsable(t, m, "ab")
	})
}

// Two that fail at the same moment must not each take the other for the one
// that stays. Health checks that take their time, in real time since a mutex
// stops a bubble's clock, make the moment last.
func TestTheLastUsableDeploymentIsSparedWhereTwoFailTogether(t *testing.T) {
	var failing atomic.Bool
	slow := func(c *selection.Candidate) {
		c.Healthy = func() bool {
			if failing.Load() {
				time.Sleep(20 * time.Millisecond)
			}
			return true
		}
	}
	m := newPool("m", deployment("a", hair, slow), deployment("b", hair, slow))
	m.Strategy = &inTurn{}
	r := newRouter(t, m)
	var both, done sync.WaitGroup
	both.Add(2)
	for range 2 {
		done.Go(func() {
			x := script(map[string][]step{"m/a": broken, "m/b": broken})
			x.before = func(*Attempt) { both.Done(); both.Wait(); failing.Store(true) }
			serve(t.Context(), r, &Request{Model: "m", NoFallback: true, Repeated: true}, x)
		})
	}
	done.Wait()
	failing.Store(false)
	if got := usable(m); len(got) != 1 {
		t.Errorf("usable after both failed: %q, want one", got)
	}
}

// inTurn picks one candidate after the other.
type inTurn struct{ n atomic.Int64 }

func (p *inTurn) Pick(_ *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return usable[int(p.n.Add(1))%len(usable)]
}

func TestMaxEjected(t *testing.T) {
	for _, test := range []struct {
		share float64
		class retry.Class
		want  string
	}{
		{1, retry.ServerError, ""},
		{0.75, retry.ServerError, "d"},
		{0.5, retry.ServerError, "cd"},
		{0.49, retry.ServerError, "bcd"},
		{0, retry.ServerError, "bcd"}, // one always
		{0, retry.RateLimit, ""},      // also without a stated wait
		{0, retry.Auth, ""},
	} {
		bubble(t, test.class.String(), func(t *testing.T) {
			m := newPool("m", deployment("a", hair), deployment("b", hair), deployment("c", hair), deployment("d", hair), deployment("e", order(2)))
			f := newPool("f", deployment("a"))
			m.Policy.MaxEjected, m.Fallback = test.share, to(f)
			all := []step{fails(test.class)}
			x := script(map[string][]step{"m/a": all, "m/b": all, "m/c": all, "m/d": all})
			serve(t.Context(), newRouter(t, m, f), &Request{Model: "m", Repeated: true}, x)
			wantUsable(t, m, test.want+"e")
		})
	}
	bubble(t, "a share is exact", func(t *testing.T) {
		var all []*selection.Candidate
		steps := map[string][]step{}
		for i := range 100 {
			all = append(all, deployment(fmt.Sprint(i), hair))
			steps[fmt.Sprint("m/", i)] = broken
		}
		m := newPool("m", all...)
		m.Policy.MaxEjected = 29.0 / 100
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Repeated: true}, script(steps))
		out := 0
		for _, c := range all {
			if !c.Cooldown.Usable(time.Now()) {
				out++
			}
		}
		if out != 29 {
			t.Errorf("%d of 100 cool at 29%%, want 29", out)
		}
	})
	bubble(t, "a rate limit that states its wait always cools", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"), deployment("c"))
		m.Policy.MaxEjected = 0
		all := []step{asks(retry.RateLimit, time.Second)}
		x := script(map[string][]step{"m/a": all, "m/b": all, "m/c": all})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Repeated: true}, x)
		wantUsable(t, m, "")
	})
}

func TestHalfOpen(t *testing.T) {
	bubble(t, "one request probes, others go elsewhere meanwhile", func(t *testing.T) {
		m := newPool("m", deployment("a", cooling(time.Second, retry.Auth)), deployment("b"))
		r := newRouter(t, m)
		time.Sleep(time.Second)
		var traces [3]*scripted
		var wg sync.WaitGroup
		for i := range traces {
			traces[i] = script(map[string][]step{"m/a": {takes(time.Second)}})
			wg.Go(func() { serve(t.Context(), r, &Request{Model: "m"}, traces[i]) })
		}
		synctest.Wait()
		probes := 0
		for _, x := range traces {
			if x.trace[0] == "m/a" {
				probes++
			}
		}
		if probes != 1 {
			t.Errorf("%d of 3 requests went to the deployment on probation, want 1", probes)
		}
		wg.Wait()
		x := script(nil)
		serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a")
	})
	bubble(t, "recovery is heard of", func(t *testing.T) {
		m := newPool("m", deployment("a", cooling(time.Second, retry.Auth)))
		r := newRouter(t, m)
		var h heard
		r.Observer = &h
		time.Sleep(time.Second)
		serve(t.Context(), r, &Request{Model: "m"}, script(nil))
		serve(t.Context(), r, &Request{Model: "m"}, script(nil))
		h.want(t, "a:none recovered", "a:none")
	})
	bubble(t, "a stream that breaks later has recovered all the same", func(t *testing.T) {
		m := newPool("m", deployment("a", cooling(time.Second, retry.Auth)))
		r := newRouter(t, m)
		var h heard
		r.Observer = &h
		time.Sleep(time.Second)
		serve(t.Context(), r, &Request{Model: "m"}, script(map[string][]step{"m/a": {cut(retry.Connection, true)}}))
		h.want(t, "a:connection recovered")
	})
	bubble(t, "a failed probe cools longer", func(t *testing.T) {
		m, f := newPool("m", deployment("a", cooling(5*time.Second, retry.Auth))), newPool("f", deployment("a"))
		m.Fallback = to(f)
		r := newRouter(t, m, f)
		var h heard
		r.Observer = &h
		time.Sleep(5 * time.Second)
		serve(t.Context(), r, &Request{Model: "m"}, script(map[string][]step{"m/a": broken}))
		h.want(t, "a:server_error cooled 10s", "m>f:server_error", "a:none")
	})
	bubble(t, "a probe whose client leaves gives its slot back", func(t *testing.T) {
		m := newPool("m", deployment("a", cooling(time.Second, retry.Auth)))
		r := newRouter(t, m)
		time.Sleep(time.Second)
		x := script(map[string][]step{"m/a": {fails(retry.Canceled)}})
		serve(t.Context(), r, &Request{Model: "m"}, x)
		if s := m.All()[0].Cooldown.State(time.Now()); s != health.Usable {
			t.Errorf("state %v, want usable for the next probe", s)
		}
		x = script(nil)
		serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a")
	})
	bubble(t, "a probe without a place in the limit gives its slot back", func(t *testing.T) {
		a := deployment("a", cooling(time.Second, retry.Auth))
		a.Limiter = selection.NewLimiter(1, 0)
		m := newPool("m", a)
		time.Sleep(time.Second)
		// Another request takes the last place between the filter and the start.
		m.Strategy = picking(func() { a.Limiter.Reserve(time.Now(), 0) })
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, script(nil))
		if s := a.Cooldown.State(time.Now()); s != health.Usable || !res.Limited {
			t.Errorf("state %v, limited %v; want usable and limited", s, res.Limited)
		}
		idle(t, m)
	})
}

// picking does something whenever a candidate is picked.
type picking func()

func (p picking) Pick(_ *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	p()
	return usable[0]
}

func TestHealthPanic(t *testing.T) {
	for name, test := range map[string]struct {
		m     *Pool
		panic bool
		want  string
	}{
		"every deployment unhealthy":              {newPool("m", deployment("a", down), deployment("b", down)), true, "m/a m/b"},
		"every deployment unhealthy, panic off":   {newPool("m", deployment("a", down), deployment("b", down)), false, ""},
		"one healthy":                             {newPool("m", deployment("a", down), deployment("b")), true, "m/b"},
		"one healthy, in a higher order":          {newPool("m", deployment("a", down), deployment("b", order(2))), true, "m/b"},
		"unhealthy and cooling stays out":         {newPool("m", deployment("a", down, cooling(time.Hour, retry.Auth)), deployment("b", down)), true, "m/b"},
		"every deployment of the team, not other": {newPool("m", deployment("a", down), deployment("b", teams("x"))), true, "m/a"},
	} {
		t.Run(name, func(t *testing.T) {
			test.m.Policy.HealthPanic = test.panic
			x := script(map[string][]step{"m/a": broken, "m/b": broken})
			res := serve(t.Context(), newRouter(t, test.m), &Request{Model: "m", Repeated: true}, x)
			x.want(t, test.want)
			if test.want == "" && (!res.Unavailable || res.Limited || res.Class != retry.Overloaded) {
				t.Errorf("result %+v, want unavailable, not for limits", res)
			}
		})
	}
}
