package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

var broken = []step{fails(retry.ServerError)}

func TestFailover(t *testing.T) {
	bubble(t, "each deployment once, tiers in order, whatever the order of the configuration", func(t *testing.T) {
		m := newPool("m", deployment("third", order(3)), deployment("first"), deployment("second", order(2)), deployment("also-first"))
		m.Policy.Retry.Retries = 0
		x := script(map[string][]step{"m/first": broken, "m/also-first": broken, "m/second": broken, "m/third": broken})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/first m/also-first m/second m/third")
		if res.Attempts != 4 || res.Fallbacks != 0 || res.Deployment() != "third" || res.Pool != m {
			t.Errorf("result %+v, want 4 attempts, no fallback, the last one third of m", res)
		}
		if !slices.Equal(x.at, make([]time.Duration, 4)) {
			t.Errorf("attempts at %v, want all at once", x.at)
		}
		for i, a := range x.attempts {
			if a.Number != i+1 || a.Fallbacks != 0 {
				t.Errorf("attempt %d is numbered %d after %d fallbacks", i+1, a.Number, a.Fallbacks)
			}
		}
	})
	bubble(t, "costs no retry", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"), deployment("c"))
		m.Policy.Retry.Retries = 1
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "m/c": broken})
		x.before = func(a *Attempt) {
			for _, c := range m.All() {
				if n := c.InFlight(); (n == 1) != (c == a.Candidate) {
					t.Errorf("%s has %d in flight during the attempt on %s", c.ID, n, a.Candidate.ID)
				}
			}
		}
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b m/c m/a")
	})
	bubble(t, "exclusions hold where the picked one is full by then", func(t *testing.T) {
		b := deployment("b")
		b.MaxParallel = 1
		b.Acquire()
		m := newPool("m", deployment("a"), b, deployment("c"))
		m.Policy.Retry.Retries = 0
		x := script(map[string][]step{"m/a": broken, "m/c": broken})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/c")
	})
	bubble(t, "off goes to retries, then to the fallback", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		m.Policy.Retry.Failover, m.Policy.Retry.Retries, m.Fallback = false, 0, to(f)
		x := script(map[string][]step{"m/a": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a f/a")
	})
	bubble(t, "with every other one cooling it goes straight to the fallback", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b", cooling(time.Hour, retry.Auth)), deployment("c", order(2), cooling(time.Hour, retry.Quota)))
		f := newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a f/a")
	})
	bubble(t, "with every other one cooling and no fallback it retries", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b", cooling(time.Hour, retry.Auth)))
		x := script(map[string][]step{"m/a": broken})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/a m/a")
	})
	bubble(t, "what this request has cooled itself does not stop retries", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": {fails(retry.Auth)}, "m/b": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b m/b m/b f/a")
	})
	bubble(t, "fallback off and no retries is one attempt", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		m.Fallback, m.ContentPolicy, m.ContextWindow = to(f), to(f), to(f)
		r := newRouter(t, m, f)
		r.Directory.Default = to(f)
		for class := retry.Connection; class < retry.NumClasses; class++ {
			x := script(map[string][]step{"m/a": {fails(class)}})
			m.All()[0].Cooldown.Restore(time.Now())
			serve(t.Context(), r, &Request{Model: "m", NoFallback: true, Repeated: true}, x)
			x.want(t, "m/a")
		}
	})
	bubble(t, "fallback off leaves retries on the same deployment", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b", order(2))), newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": {fails(retry.ServerError)}})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m", NoFallback: true}, x)
		x.want(t, "m/a m/a m/a")
	})
	bubble(t, "fallback off holds for a pool that is out", func(t *testing.T) {
		m, f := newPool("m", deployment("a", cooling(time.Minute, retry.Auth))), newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(nil)
		res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m", NoFallback: true, Repeated: true}, x)
		x.want(t, "")
		if !res.Unavailable || res.Wait != time.Minute {
			t.Errorf("result %+v, want unavailable for a minute", res)
		}
	})
	bubble(t, "a client that retries by itself gets failover and fallback but no retries", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "f/a": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m", Repeated: true}, x)
		x.want(t, "m/a m/b f/a")
	})
}

func TestTeams(t *testing.T) {
	bubble(t, "siblings of the team serve, nobody else's", func(t *testing.T) {
		m := newPool("m", deployment("all"), deployment("red-1", teams("red", "red")), deployment("blue", teams("blue")), deployment("red-2", teams("blue", "red")), deployment("all-2"))
		m.Policy.Retry.Retries = 0
		everything := map[string][]step{}
		for _, c := range m.All() {
			everything["m/"+c.ID] = broken
		}
		r := newRouter(t, m)
		for team, want := range map[string]string{
			"red": "m/red-1 m/red-2", "blue": "m/blue m/red-2", "green": "m/all m/all-2", "": "m/all m/all-2",
		} {
			x := script(everything)
			serve(t.Context(), r, &Request{Model: "m", Team: team}, x)
			x.want(t, want)
		}
		if n := len(m.For("red")); n != 2 {
			t.Errorf("team red has %d deployments, want 2: one names it twice", n)
		}
	})
	bubble(t, "fallback keeps out what is another team's", func(t *testing.T) {
		m, f := newPool("m", deployment("a")), newPool("f", deployment("blue", teams("blue")))
		g := newPool("g", deployment("blue", teams("blue")), deployment("all"))
		m.Fallback, m.Policy.Retry.Retries = to(f, g), 0
		x := script(map[string][]step{"m/a": broken})
		res := serve(t.Context(), newRouter(t, m, f, g), &Request{Model: "m", Team: "red"}, x)
		x.want(t, "m/a g/all")
		if res.Fallbacks != 1 {
			t.Errorf("%d fallbacks, want 1", res.Fallbacks)
		}
	})
	bubble(t, "a pool of other teams alone does not exist", func(t *testing.T) {
		m := newPool("m", deployment("blue", teams("blue")))
		r := newRouter(t, m)
		for team, want := range map[string]bool{"blue": true, "red": false, "": false} {
			if _, ok := r.Resolve("m", team); ok != want {
				t.Errorf("resolves for team %q: %v, want %v", team, ok, want)
			}
		}
		x := script(nil)
		if res := serve(t.Context(), r, &Request{Model: "m", Team: "red"}, x); res.Class != retry.NotFound || res.Pool != nil {
			t.Errorf("result %+v, want not_found and no pool", res)
		}
		x.want(t, "")
	})
}
