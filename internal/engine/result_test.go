package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func limited(rpm int64, used int) func(*selection.Candidate) {
	return func(c *selection.Candidate) {
		c.Limiter = selection.NewLimiter(rpm, 0)
		for range used {
			c.Limiter.Reserve(time.Now(), 0)
		}
	}
}

func full(c *selection.Candidate) { c.MaxParallel = 1; c.Acquire() }

func tags(names ...string) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.Tags = names }
}

// Where nothing can be tried the client is told why, and for how long.
func TestNothingToTry(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name        string
		deployments func() []*selection.Candidate
		class       retry.Class
		limited     bool
		wait        time.Duration
	}{
		{"cooling for failures", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", cooling(9*s, retry.Auth)), deployment("b", cooling(7*s, retry.ServerError))}
		}, retry.Overloaded, false, 7 * s},
		{"rate limits upstream", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", cooling(9*s, retry.RateLimit)), deployment("b", cooling(90*s, retry.Quota))}
		}, retry.RateLimit, true, 9 * s},
		{"limits of ours", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", limited(2, 2))}
		}, retry.RateLimit, true, 61 * s},
		{"no place", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", full), deployment("b", cooling(9*s, retry.RateLimit))}
		}, retry.RateLimit, true, 0},
		{"a limit and a failure", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", limited(1, 1)), deployment("b", cooling(9*s, retry.Auth))}
		}, retry.Overloaded, false, 9 * s},
		{"limits beside a deployment that is down", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", limited(1, 1)), deployment("b", down)}
		}, retry.Overloaded, false, 61 * s},
		{"higher orders count too", func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", cooling(9*s, retry.RateLimit)), deployment("b", order(2), cooling(4*s, retry.RateLimit))}
		}, retry.RateLimit, true, 4 * s},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			m := newPool("m", test.deployments()...)
			x := script(nil)
			res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
			x.want(t, "")
			want := Result{Class: test.class, Pool: m, Unavailable: true, Limited: test.limited, Wait: test.wait}
			if res != want {
				t.Errorf("result %+v, want %+v", res, want)
			}
		})
	}
	bubble(t, "tags that leave nothing", func(t *testing.T) {
		m := newPool("m", deployment("a", tags("free")))
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m", Tags: []string{"paid"}}, script(nil))
		if want := (Result{Class: retry.NotFound, Pool: m, Out: selection.Tags}); res != want {
			t.Errorf("result %+v, want %+v: waiting is of no use", res, want)
		}
	})
	bubble(t, "a place that has come free just now", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		m.Strategy = nobody{}
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, script(nil))
		if want := (Result{Class: retry.RateLimit, Pool: m, Unavailable: true, Limited: true}); res != want {
			t.Errorf("result %+v, want %+v", res, want)
		}
	})
	bubble(t, "the shortest wait is that of all pools", func(t *testing.T) {
		m := newPool("m", deployment("a", cooling(3*s, retry.RateLimit)))
		f := newPool("f", deployment("a", cooling(9*s, retry.RateLimit)))
		m.Fallback = to(f)
		res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, script(nil))
		if want := (Result{Class: retry.RateLimit, Pool: f, Fallbacks: 1, Unavailable: true, Limited: true, Wait: 3 * s}); res != want {
			t.Errorf("result %+v, want %+v", res, want)
		}
	})
	// The health panic of the last pool was taken for that of all.
	bubble(t, "panic in one pool is not panic in another", func(t *testing.T) {
		m := newPool("m", deployment("a", down))
		m.Policy.HealthPanic = false
		f := newPool("f", deployment("a", down, cooling(9*s, retry.RateLimit)))
		m.Fallback = to(f)
		res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, script(nil))
		if res.Limited || res.Wait != 9*s {
			t.Errorf("limited %v, wait %v; want not limited, 9s", res.Limited, res.Wait)
		}
	})
}

// nobody never picks.
type nobody struct{}

func (nobody) Pick(*selection.Query, []*selection.Candidate) *selection.Candidate { return nil }

func TestWaitAfterFailures(t *testing.T) {
	bubble(t, "is none while a deployment that failed may be tried again", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		x := script(map[string][]step{"m/a": {fails(retry.Quota)}, "m/b": broken})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m", Repeated: true}, x)
		if res.Wait != 0 || res.Unavailable {
			t.Errorf("wait %v, unavailable %v; want none: b does not cool", res.Wait, res.Unavailable)
		}
	})
	bubble(t, "is what the upstream asked for where that cools nothing", func(t *testing.T) {
		m := newPool("m", deployment("a", uncooled))
		x := script(map[string][]step{"m/a": {asks(retry.RateLimit, 70*time.Second)}})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		if res.Wait != 70*time.Second {
			t.Errorf("wait %v, want 70s", res.Wait)
		}
	})
	bubble(t, "is the cooldown's of the pool that was tried", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		x := script(map[string][]step{"m/a": {fails(retry.Auth)}})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		if want := (Result{Class: retry.Auth, Pool: m, Candidate: m.All()[0], Tried: m, Attempts: 1, Wait: 5 * time.Second}); res != want {
			t.Errorf("result %+v, want %+v", res, want)
		}
	})
	bubble(t, "after a filter is the fallback's", func(t *testing.T) {
		m, p := newPool("m", deployment("a")), newPool("p", deployment("a", cooling(9*time.Second, retry.Auth)))
		m.ContentPolicy = to(p)
		x := script(map[string][]step{"m/a": {fails(retry.ContentPolicy)}})
		res := serve(t.Context(), newRouter(t, m, p), &Request{Model: "m"}, x)
		if want := (Result{Class: retry.ContentPolicy, Pool: p, Candidate: m.All()[0], Tried: m, Attempts: 1, Fallbacks: 1, Unavailable: true, Wait: 9 * time.Second}); res != want {
			t.Errorf("result %+v, want %+v", res, want)
		}
	})
}

func TestResume(t *testing.T) {
	bubble(t, "a cut goes on elsewhere", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		m.Policy.Resume = true
		x := script(map[string][]step{"m/a": {cut(retry.Connection, false)}})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b")
		if res.Class != retry.None || !res.Delivered || !x.attempts[0].Resume {
			t.Errorf("result %+v, asked to resume %v; want an answer delivered, true", res, x.attempts[0].Resume)
		}
		if n := m.All()[0].Cooldown.Counts(time.Now()).Failed(); n != 1 {
			t.Errorf("%d failures counted for the one that cut, want 1", n)
		}
	})
	bubble(t, "also in a fallback pool", func(t *testing.T) {
		m, f := newPool("m", deployment("a")), newPool("f", deployment("a"))
		m.Fallback, m.Policy.Retry.Retries = to(f), 0
		x := script(map[string][]step{"m/a": {cut(retry.Timeout, false)}})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a f/a")
	})
	bubble(t, "a final cut ends", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": {cut(retry.Connection, true)}})
		res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if res.Class != retry.Connection || !res.Delivered || res.Unavailable {
			t.Errorf("result %+v, want connection, delivered", res)
		}
	})
	bubble(t, "an answer that differs ends and is nobody's fault", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b", hair), deployment("c"))
		x := script(map[string][]step{
			"m/a": {cut(retry.Connection, false)},
			"m/b": {{Outcome: Outcome{Class: retry.ServerError, Final: true}}},
		})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b")
		if res.Class != retry.ServerError || !res.Delivered {
			t.Errorf("result %+v, want server_error, delivered", res)
		}
		wantUsable(t, m, "abc")
	})
	bubble(t, "does not override a pin", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		x := script(map[string][]step{"m/a": {cut(retry.Connection, false)}})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", NoFallback: true, Repeated: true}, x)
		x.want(t, "m/a")
	})
}

func TestCanceledClient(t *testing.T) {
	bubble(t, "in an attempt", func(t *testing.T) {
		m, f := newPool("m", deployment("a", hair), deployment("b")), newPool("f", deployment("a"))
		m.Fallback = to(f)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		x := script(map[string][]step{"m/a": {takes(time.Hour)}})
		res := serve(ctx, newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if d := time.Since(x.start); d != time.Second || res.Class != retry.Canceled {
			t.Errorf("%v after %v, want canceled after 1s", res.Class, d)
		}
		if n := m.All()[0].Cooldown.Counts(time.Now()); n.Failed() != 0 || n.Successes != 0 {
			t.Errorf("counted %+v, want nothing", n)
		}
		wantUsable(t, m, "ab")
		idle(t, m, f)
	})
	bubble(t, "in a wait", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		x := script(map[string][]step{"m/a": {asks(retry.RateLimit, 30*time.Second)}})
		res := serve(ctx, newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if d := time.Since(x.start); d != time.Second || res.Class != retry.Canceled {
			t.Errorf("%v after %v, want canceled after 1s", res.Class, d)
		}
		idle(t, m)
	})
	bubble(t, "whatever the failure looks like", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		x := &instant{fail: 9}
		if serve(ctx, newRouter(t, m), &Request{Model: "m"}, x); x.made != 1 {
			t.Errorf("%d attempts for a client that is gone, want 1", x.made)
		}
	})
}

func TestPanicInAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newPool("m", deployment("a", cooling(time.Second, retry.Auth)))
		r := newRouter(t, m)
		time.Sleep(time.Second)
		x := script(nil)
		x.before = func(*Attempt) { panic("boom") }
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v, want boom to pass through", got)
				}
			}()
			serve(t.Context(), r, &Request{Model: "m"}, x)
		}()
		idle(t, m)
		wantUsable(t, m, "a") // its probe is over
	})
}
