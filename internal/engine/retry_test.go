package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func wantAt(t *testing.T, x *scripted, want ...time.Duration) {
	t.Helper()
	if !slices.Equal(x.at, want) {
		t.Errorf("attempts at %v, want %v", x.at, want)
	}
}

func TestRetries(t *testing.T) {
	bubble(t, "follow failover, what just failed last", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"), deployment("c", order(2)))
		m.Policy.Retry.Retries = 4
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "m/c": broken})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b m/c m/a m/b m/a m/b")
	})
	bubble(t, "the first one does not go where the last failover failed", func(t *testing.T) {
		m := newPool("m", deployment("b", order(2)), deployment("a", order(2)), deployment("z", order(1)))
		m.Strategy = lastOne{}
		m.Policy.Retry.Retries = 1
		x := script(map[string][]step{"m/a": broken, "m/b": broken, "m/z": {fails(retry.Auth)}})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/z m/a m/b m/a")
	})
	bubble(t, "prefer what was in the way of others before", func(t *testing.T) {
		b := deployment("b")
		b.MaxParallel = 1
		b.Acquire()
		m := newPool("m", deployment("a"), b)
		x := script(map[string][]step{"m/a": broken})
		m.Policy.Retry.Backoff = retry.Backoff{Initial: time.Second}
		x.before = func(*Attempt) {
			if len(x.trace) == 1 {
				b.Release()
			}
		}
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b")
		if res.Class != retry.None {
			t.Errorf("result %v, want an answer", res.Class)
		}
	})
	bubble(t, "each is one attempt after a backoff that grows", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		m.Policy.Retry.Retries = 5
		m.Policy.Retry.Backoff = retry.Backoff{Initial: time.Second, Max: 4 * time.Second}
		x := script(map[string][]step{"m/a": broken, "m/b": broken})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		if len(x.at) != 7 {
			t.Fatalf("%d attempts, want 2 and 5 retries", len(x.at))
		}
		if x.at[1] != 0 {
			t.Errorf("failover after %v, want at once", x.at[1])
		}
		for i, bound := range []time.Duration{1, 2, 4, 4, 4} {
			if wait := x.at[i+2] - x.at[i+1]; wait < 0 || wait >= bound*time.Second {
				t.Errorf("retry %d after %v, want below %vs", i, wait, int(bound))
			}
		}
		if x.at[6] == 0 {
			t.Error("no retry waited at all")
		}
	})
	bubble(t, "begin anew in the next pool", func(t *testing.T) {
		m, f := newPool("m", deployment("a")), newPool("f", deployment("a"))
		m.Fallback, m.Policy.Retry.Retries, f.Policy.Retry.Retries = to(f), 1, 2
		x := script(map[string][]step{"m/a": broken, "f/a": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a m/a f/a f/a f/a")
	})
	bubble(t, "need a first attempt in the pool", func(t *testing.T) {
		m, f := newPool("m", deployment("a")), newPool("f", deployment("a", cooling(9*time.Second, retry.Auth)))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a m/a m/a")
		if d := time.Since(x.start); d != 0 {
			t.Errorf("gave up after %v, want at once", d)
		}
	})
	bubble(t, "are within the budget, which requests fill", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		m.Policy.Retry.Budget = retry.NewBudget(50, 0)
		r := newRouter(t, m)
		for i, want := range []string{"m/a", "m/a m/a", "m/a", "m/a m/a"} {
			x := script(map[string][]step{"m/a": broken})
			serve(t.Context(), r, &Request{Model: "m"}, x)
			if len(x.trace) == 0 {
				t.Fatalf("request %d was not tried", i)
			}
			x.want(t, want)
		}
	})
	bubble(t, "a used up budget leads to the fallback", func(t *testing.T) {
		m, f := newPool("m", deployment("a")), newPool("f", deployment("a"))
		m.Policy.Retry.Budget, m.Fallback = retry.NewBudget(0, 0), to(f)
		x := script(map[string][]step{"m/a": broken})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a f/a")
	})
}

// The wait that an upstream states is waited for where there is nothing else
// to try, within bounds that are narrower with a fallback.
func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		name     string
		wait     time.Duration
		fallback bool
		uncooled bool
		trace    string
		second   time.Duration
	}{
		{"60s alone", time.Minute, false, false, "m/a m/a", time.Minute},
		{"more than 60s alone", time.Minute + 1, false, false, "m/a", 0},
		{"5s with a fallback", 5 * time.Second, true, false, "m/a m/a", 5 * time.Second},
		{"more than 5s with a fallback", 5*time.Second + 1, true, false, "m/a f/a", 0},
		{"cooldowns off alone", 20 * time.Second, false, true, "m/a m/a", 20 * time.Second},
		{"cooldowns off with a fallback", 20 * time.Second, true, true, "m/a f/a", 0},
		{"beyond what is believed", time.Hour, false, false, "m/a", 0},
	} {
		bubble(t, test.name, func(t *testing.T) {
			a := deployment("a")
			if test.uncooled {
				uncooled(a)
			}
			m, f := newPool("m", a), newPool("f", deployment("a"))
			if test.fallback {
				m.Fallback = to(f)
			}
			x := script(map[string][]step{"m/a": {asks(retry.RateLimit, test.wait), {}}})
			res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
			x.want(t, test.trace)
			if len(x.at) == 2 && x.at[1] != test.second {
				t.Errorf("second attempt after %v, want %v", x.at[1], test.second)
			}
			if res.Class == retry.RateLimit && res.Wait != min(test.wait, 5*time.Minute) {
				t.Errorf("result says to wait %v, want %v", res.Wait, min(test.wait, 5*time.Minute))
			}
		})
	}
	for _, test := range []struct {
		name string
		cool func(*health.Config)
	}{
		{"usual cooldown", func(*health.Config) {}},
		{"cooldown shorter than the backoff", func(c *health.Config) { c.Duration = time.Millisecond }},
		{"cooldowns off", func(c *health.Config) { c.Off = true }},
	} {
		bubble(t, "a 429 that states no wait goes to the fallback at once, "+test.name, func(t *testing.T) {
			m, f := newPool("m", deployment("a", cooldown(test.cool))), newPool("f", deployment("a"))
			m.Fallback = to(f)
			m.Policy.Retry.Backoff = retry.Backoff{Initial: time.Second}
			x := script(map[string][]step{"m/a": {fails(retry.RateLimit)}})
			serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
			x.want(t, "m/a f/a")
			wantAt(t, x, 0, 0)
		})
	}
	bubble(t, "the deployment that is back first is waited for", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		x := script(map[string][]step{
			"m/a": {asks(retry.RateLimit, 9*time.Second)},
			"m/b": {asks(retry.RateLimit, 3*time.Second), {}},
		})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b m/b")
		wantAt(t, x, 0, 0, 3*time.Second)
	})
	bubble(t, "a cooldown longer than what was asked for is not waited for with a fallback", func(t *testing.T) {
		short := cooldown(func(c *health.Config) { c.Duration = time.Second })
		m, f := newPool("m", deployment("a", short, cooling(time.Second, retry.Auth))), newPool("f", deployment("a"))
		m.Fallback = to(f)
		time.Sleep(time.Second) // a failed probe doubles the cooldown
		x := script(map[string][]step{"m/a": {asks(retry.RateLimit, time.Second/2)}})
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a f/a")
		wantAt(t, x, 0, 0)
	})
	bubble(t, "an untried one is tried first", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b", order(2)))
		x := script(map[string][]step{"m/a": {asks(retry.RateLimit, time.Second)}})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b")
	})
	bubble(t, "a wait beyond the deadline is not begun", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		m.Policy.Deadline = 20 * time.Second
		x := script(map[string][]step{"m/a": {asks(retry.RateLimit, 20*time.Second)}})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if d := time.Since(x.start); d != 0 {
			t.Errorf("gave up after %v, want at once", d)
		}
	})
}
