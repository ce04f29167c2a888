package engine

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// One row for each error class: where the request goes next from a pool of two
// deployments with all kinds of fallbacks, and what the class does to the
// deployment that failed. Counted classes need the five requests of the default
// to cool, so that one failure does not.
func TestEveryErrorClassGoesItsWay(t *testing.T) {
	const fallback = "m/a m/b f/a"
	tests := []struct {
		class    retry.Class
		trace    string
		result   retry.Class
		cools    time.Duration
		counts   bool
		attempts string // with everything failing
	}{
		{retry.Connection, "m/a m/b", retry.None, 0, true, fallback},
		{retry.Timeout, "m/a m/b", retry.None, 0, true, fallback},
		{retry.RateLimit, "m/a m/b", retry.None, 5 * time.Second, true, fallback},
		{retry.Quota, "m/a m/b", retry.None, 5 * time.Minute, true, fallback},
		{retry.Auth, "m/a m/b", retry.None, 5 * time.Second, true, fallback},
		{retry.NotFound, "m/a m/b", retry.None, 5 * time.Second, true, fallback},
		{retry.Overloaded, "m/a m/b", retry.None, 0, true, fallback},
		{retry.ServerError, "m/a m/b", retry.None, 0, true, fallback},
		{retry.ClientAuth, "m/a", retry.ClientAuth, 0, false, "m/a"},
		{retry.BadRequest, "m/a", retry.BadRequest, 0, false, "m/a"},
		{retry.ContextWindow, "m/a c/a", retry.None, 0, false, "m/a c/a"},
		{retry.ContentPolicy, "m/a p/a", retry.None, 0, false, "m/a p/a"},
		{retry.Canceled, "m/a", retry.Canceled, 0, false, "m/a"},
	}
	build := func(t *testing.T) (*Router, *Pool) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		c, p := newPool("c", deployment("a")), newPool("p", deployment("a"))
		m.Fallback, m.ContextWindow, m.ContentPolicy = to(f), to(c), to(p)
		for _, pool := range []*Pool{m, f, c, p} {
			pool.Policy.Retry.Retries = 0
		}
		return newRouter(t, m, f, c, p), m
	}
	for _, test := range tests {
		bubble(t, test.class.String(), func(t *testing.T) {
			r, m := build(t)
			x := script(map[string][]step{"m/a": {fails(test.class)}})
			res := serve(t.Context(), r, &Request{Model: "m"}, x)
			x.want(t, test.trace)
			if res.Class != test.result {
				t.Errorf("result %v, want %v", res.Class, test.result)
			}
			if left := m.All()[0].Cooldown.Remaining(time.Now()); left != test.cools {
				t.Errorf("deployment cools for %v, want %v", left, test.cools)
			}
			if n := m.All()[0].Cooldown.Counts(time.Now()).Failed(); (n > 0) != test.counts {
				t.Errorf("%d failures counted, want any: %v", n, test.counts)
			}

			r, m = build(t)
			all := []step{fails(test.class)}
			x = script(map[string][]step{"m/a": all, "m/b": all, "f/a": all, "c/a": all, "p/a": all})
			res = serve(t.Context(), r, &Request{Model: "m"}, x)
			x.want(t, test.attempts)
			if res.Class != test.class || res.Delivered {
				t.Errorf("result %v, delivered %v; want %v, not delivered", res.Class, res.Delivered, test.class)
			}
			if res.Attempts != len(x.trace) {
				t.Errorf("result tells %d attempts, want %d", res.Attempts, len(x.trace))
			}
			idle(t, m)
		})
	}
}

func TestRetriesByClass(t *testing.T) {
	for class, want := range map[retry.Class]int{
		retry.Connection: 3, retry.RateLimit: 3, retry.Overloaded: 3, retry.ServerError: 3,
		retry.Timeout: 1, retry.Quota: 1, retry.Auth: 1, retry.NotFound: 1,
		retry.ContextWindow: 1, retry.ContentPolicy: 1, retry.BadRequest: 1, retry.ClientAuth: 1,
	} {
		bubble(t, class.String(), func(t *testing.T) {
			r := newRouter(t, newPool("m", deployment("a")))
			x := script(map[string][]step{"m/a": {fails(class)}})
			if res := serve(t.Context(), r, &Request{Model: "m"}, x); res.Attempts != want {
				t.Errorf("%d attempts on a deployment that is alone, want %d", res.Attempts, want)
			}
		})
	}
	bubble(t, "a class of its own number", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		m.Policy.Retry.ClassRetries[retry.Timeout] = 4
		x := script(map[string][]step{"m/a": {fails(retry.Timeout)}})
		if res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x); res.Attempts != 5 {
			t.Errorf("%d attempts with timeout 4, want 5", res.Attempts)
		}
	})
}

func TestContextWindow(t *testing.T) {
	tooLong := []step{fails(retry.ContextWindow)}
	bubble(t, "a larger deployment of the pool comes first", func(t *testing.T) {
		m := newPool("m", deployment("small", window(8)), deployment("same", window(8)), deployment("unknown"), deployment("large", window(32)))
		c := newPool("c", deployment("a"))
		m.ContextWindow = to(c)
		x := script(map[string][]step{"m/small": tooLong, "m/large": tooLong})
		serve(t.Context(), newRouter(t, m, c), &Request{Model: "m"}, x)
		x.want(t, "m/small m/large c/a")
	})
	bubble(t, "a window that nobody knows is not compared", func(t *testing.T) {
		m := newPool("m", deployment("unknown"), deployment("other"), deployment("large", window(32)))
		x := script(map[string][]step{"m/unknown": tooLong})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/unknown")
	})
	bubble(t, "failover off stays on the deployment", func(t *testing.T) {
		m := newPool("m", deployment("small", window(8)), deployment("large", window(32)))
		m.Policy.Retry.Failover = false
		x := script(map[string][]step{"m/small": tooLong})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/small")
	})
	bubble(t, "without any list normal fallbacks that may be large enough", func(t *testing.T) {
		m := newPool("m", deployment("a", window(8)))
		smaller, larger := newPool("smaller", deployment("a", window(4)), deployment("b", window(8))), newPool("larger", deployment("a", window(4)), deployment("b", window(9)))
		unknown := newPool("unknown", deployment("a"))
		m.Fallback = to(smaller, larger, unknown)
		x := script(map[string][]step{"m/a": tooLong, "larger/b": tooLong})
		res := serve(t.Context(), newRouter(t, m, smaller, larger, unknown), &Request{Model: "m"}, x)
		x.want(t, "m/a larger/b unknown/a")
		if res.Fallbacks != 2 {
			t.Errorf("%d fallbacks, want 2: a pool that is too small is not entered", res.Fallbacks)
		}
	})
	bubble(t, "a list of another pool keeps to lists", func(t *testing.T) {
		m, f, other := newPool("m", deployment("a")), newPool("f", deployment("a")), newPool("other", deployment("a"))
		m.Fallback, other.ContextWindow = to(f), to(m)
		x := script(map[string][]step{"m/a": tooLong})
		res := serve(t.Context(), newRouter(t, m, f, other), &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if res.Class != retry.ContextWindow {
			t.Errorf("result %v, want context_window", res.Class)
		}
	})
	bubble(t, "a pool known to be too small is skipped after other failures too", func(t *testing.T) {
		m := newPool("m", deployment("a", window(8)), deployment("b", window(16)))
		small, f := newPool("small", deployment("a", window(8))), newPool("f", deployment("a"))
		m.Fallback = to(small, f)
		m.Policy.Retry.Retries = 0
		x := script(map[string][]step{"m/a": tooLong, "m/b": {fails(retry.ServerError)}})
		serve(t.Context(), newRouter(t, m, small, f), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b f/a")
	})
	bubble(t, "what is left of a normal list is not for long prompts where there are lists for them", func(t *testing.T) {
		m, f1, f2, c := newPool("m", deployment("a")), newPool("f1", deployment("a")), newPool("f2", deployment("a")), newPool("c", deployment("a"))
		m.Fallback, f1.ContextWindow = to(f1, f2), to(c)
		x := script(map[string][]step{"m/a": {fails(retry.Auth)}, "f1/a": tooLong, "c/a": tooLong})
		serve(t.Context(), newRouter(t, m, f1, f2, c), &Request{Model: "m"}, x)
		x.want(t, "m/a f1/a c/a")
	})
	bubble(t, "but is for what else goes wrong on the way", func(t *testing.T) {
		m, f1, f2, c := newPool("m", deployment("a")), newPool("f1", deployment("a")), newPool("f2", deployment("a")), newPool("c", deployment("a"))
		m.Fallback, f1.ContextWindow = to(f1, f2), to(c)
		x := script(map[string][]step{"m/a": {fails(retry.Auth)}, "f1/a": tooLong, "c/a": {fails(retry.Auth)}})
		serve(t.Context(), newRouter(t, m, f1, f2, c), &Request{Model: "m"}, x)
		x.want(t, "m/a f1/a c/a f2/a")
	})
	bubble(t, "the list for long prompts goes on for long prompts alone", func(t *testing.T) {
		m, c1, c2, f := newPool("m", deployment("a")), newPool("c1", deployment("a")), newPool("c2", deployment("a")), newPool("f", deployment("a"))
		m.ContextWindow, m.Fallback = to(c1, c2), to(f)
		x := script(map[string][]step{"m/a": tooLong, "c1/a": tooLong, "c2/a": tooLong})
		serve(t.Context(), newRouter(t, m, c1, c2, f), &Request{Model: "m"}, x)
		x.want(t, "m/a c1/a c2/a")
	})
}

// The router never walks round a filter unasked: only lists that were written
// for filtered requests follow a filter, and never the default.
func TestContentPolicy(t *testing.T) {
	filtered := []step{fails(retry.ContentPolicy)}
	broken := []step{fails(retry.Auth)}
	single := func(name string) *Pool { return newPool(name, deployment("a"), deployment("b")) }
	bubble(t, "neither failover nor normal nor default fallback", func(t *testing.T) {
		m, f, d := single("m"), single("f"), single("d")
		m.Fallback = to(f)
		r := newRouter(t, m, f, d)
		r.Directory.Default = to(d)
		x := script(map[string][]step{"m/a": filtered})
		res := serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if res.Class != retry.ContentPolicy {
			t.Errorf("result %v, want content_policy", res.Class)
		}
	})
	bubble(t, "filtered again goes on along the list", func(t *testing.T) {
		m, p1, p2, f := single("m"), single("p1"), single("p2"), single("f")
		m.ContentPolicy, p1.Fallback = to(p1, p2), to(f)
		x := script(map[string][]step{"m/a": filtered, "p1/a": filtered, "p2/a": filtered})
		serve(t.Context(), newRouter(t, m, p1, p2, f), &Request{Model: "m"}, x)
		x.want(t, "m/a p1/a p2/a")
	})
	bubble(t, "a normal fallback that filters does not lead to the next normal one", func(t *testing.T) {
		m, f1, f2 := single("m"), single("f1"), single("f2")
		m.Fallback = to(f1, f2)
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "f1/a": filtered})
		serve(t.Context(), newRouter(t, m, f1, f2), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b f1/a")
	})
	// The list of f1 was used up and the rest of m's, meant for other failures,
	// was taken for it.
	bubble(t, "nor after a list of its own", func(t *testing.T) {
		m, f1, f2, p := single("m"), single("f1"), single("f2"), single("p")
		m.Fallback, f1.ContentPolicy = to(f1, f2), to(p)
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "f1/a": filtered, "p/a": filtered})
		serve(t.Context(), newRouter(t, m, f1, f2, p), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b f1/a p/a")
	})
	bubble(t, "nor when what the list names fails otherwise", func(t *testing.T) {
		m, f1, f2, p, d := single("m"), single("f1"), single("f2"), single("p"), single("d")
		m.Fallback, f1.ContentPolicy = to(f1, f2), to(p)
		r := newRouter(t, m, f1, f2, p, d)
		r.Directory.Default = to(d)
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "f1/a": filtered, "p/a": broken, "p/b": broken})
		serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a m/b f1/a p/a p/b")
	})
	bubble(t, "nor when a retry of it fails otherwise", func(t *testing.T) {
		m, f := single("m"), single("f")
		m.Fallback = to(f)
		m.Policy.Retry.ClassRetries[retry.ContentPolicy] = 1
		x := script(map[string][]step{"m/a": filtered, "m/b": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b")
	})
	bubble(t, "the pool that the list names has its own fallbacks", func(t *testing.T) {
		m, p, g := single("m"), single("p"), single("g")
		m.ContentPolicy, p.Fallback = to(p), to(g)
		x := script(map[string][]step{"m/a": filtered, "p/a": broken, "p/b": broken})
		serve(t.Context(), newRouter(t, m, p, g), &Request{Model: "m"}, x)
		x.want(t, "m/a p/a p/b g/a")
	})
}
