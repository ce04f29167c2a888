package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

const forever = 1000 * time.Hour

func TestDeadline(t *testing.T) {
	hangs := []step{takes(forever)}
	bubble(t, "each attempt leaves the next its turn", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"), deployment("b"))
		m.Policy.Deadline, m.Fallback = 256*time.Second, to(f)
		x := script(map[string][]step{"m/a": hangs, "m/b": hangs, "f/a": hangs, "f/b": hangs})
		res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a m/b f/a f/b")
		if want := []time.Duration{192 * time.Second, 48 * time.Second, 12 * time.Second, 4 * time.Second}; !slices.Equal(x.limits, want) {
			t.Errorf("limits %v, want %v", x.limits, want)
		}
		if d := time.Since(x.start); d != m.Policy.Deadline || res.Class != retry.Timeout {
			t.Errorf("%v after %v, want timeout after %v", res.Class, d, m.Policy.Deadline)
		}
	})
	bubble(t, "the only attempt gets it all", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		r := newRouter(t, m, f)
		for name, req := range map[string]*Request{
			"alone": {Model: "f"}, "pinned": {Model: "m", NoFallback: true, Repeated: true},
		} {
			m.Fallback = to(f)
			x := script(nil)
			serve(t.Context(), r, req, x)
			if x.limits[0] != 10*time.Minute {
				t.Errorf("%s: limit %v, want the whole 10m", name, x.limits[0])
			}
		}
	})
	bubble(t, "retries of timeouts leave a turn where they are set", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		m.Policy.Deadline = 64 * time.Second
		m.Policy.Retry.ClassRetries[retry.Timeout] = 2
		r := newRouter(t, m)
		x := script(map[string][]step{"m/a": hangs})
		serve(t.Context(), r, &Request{Model: "m"}, x)
		if want := []time.Duration{48 * time.Second, 12 * time.Second, 4 * time.Second}; !slices.Equal(x.limits, want) {
			t.Errorf("limits %v, want %v", x.limits, want)
		}
		x = script(map[string][]step{"m/a": hangs})
		serve(t.Context(), r, &Request{Model: "m", Repeated: true}, x)
		if want := []time.Duration{64 * time.Second}; !slices.Equal(x.limits, want) {
			t.Errorf("limits of a request that gets no retries %v, want %v", x.limits, want)
		}
	})
	bubble(t, "the last retry gets it all, whatever is full", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b", full), deployment("c", full))
		x := script(map[string][]step{"m/a": broken})
		m.Policy.Retry.Retries = 1
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		if want := []time.Duration{450 * time.Second, 600 * time.Second}; !slices.Equal(x.limits, want) {
			t.Errorf("limits %v, want %v", x.limits, want)
		}
	})
	bubble(t, "nothing begins after it", func(t *testing.T) {
		m, f := newPool("m", deployment("a"), deployment("b")), newPool("f", deployment("a"))
		m.Policy.Deadline, m.Fallback = time.Second, to(f)
		x := script(nil)
		x.before = func(*Attempt) { time.Sleep(2 * time.Second) } // a transport that overruns its limit
		x.script = map[string][]step{"m/a": broken, "m/b": broken, "f/a": broken}
		serve(t.Context(), newRouter(t, m, f), &Request{Model: "m"}, x)
		x.want(t, "m/a")
	})
}

func TestTimeouts(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		pool   Policy
		own    selection.Timeouts
		stream bool
		want   time.Duration
		idle   time.Duration
	}{
		{name: "the deadline", want: 600 * s},
		{name: "the pool's", pool: Policy{Timeout: 50 * s, Idle: 7 * s}, want: 50 * s, idle: 7 * s},
		{name: "the deployment's own", pool: Policy{Timeout: 50 * s, Idle: 7 * s}, own: selection.Timeouts{Whole: 70 * s, Idle: 3 * s}, want: 70 * s, idle: 3 * s},
		{name: "first token is for streams", pool: Policy{Timeout: 50 * s, FirstToken: 5 * s}, want: 50 * s},
		{name: "a stream's first token", pool: Policy{Timeout: 50 * s, FirstToken: 5 * s}, stream: true, want: 5 * s},
		{name: "a stream's first token of the deployment", pool: Policy{FirstToken: 5 * s}, own: selection.Timeouts{FirstToken: 9 * s}, stream: true, want: 9 * s},
		{name: "a stream without one has the timeout", pool: Policy{Timeout: 50 * s}, stream: true, want: 50 * s},
		{name: "longer than the deadline", pool: Policy{Timeout: 5000 * s}, want: 600 * s},
	} {
		bubble(t, test.name, func(t *testing.T) {
			a := deployment("a")
			a.Limits = test.own
			m := newPool("m", a)
			m.Policy.Timeout, m.Policy.FirstToken, m.Policy.Idle = test.pool.Timeout, test.pool.FirstToken, test.pool.Idle
			x := script(nil)
			serve(t.Context(), newRouter(t, m), &Request{Model: "m", Stream: test.stream}, x)
			if got := x.attempts[0]; got.Limit != test.want || got.Idle != test.idle {
				t.Errorf("limit %v, idle %v; want %v, %v", got.Limit, got.Idle, test.want, test.idle)
			}
		})
	}
}

// A timeout that the client chose says nothing about a deployment.
func TestTheClientsOwnTimeout(t *testing.T) {
	hangs := []step{takes(forever)}
	bubble(t, "never counts", func(t *testing.T) {
		m := newPool("m", deployment("a", hair), deployment("b", hair))
		f := newPool("f", deployment("a"))
		m.Fallback = to(f)
		x := script(map[string][]step{"m/a": hangs, "m/b": hangs, "f/a": hangs})
		res := serve(t.Context(), newRouter(t, m, f), &Request{Model: "m", Timeout: 16 * time.Second}, x)
		x.want(t, "m/a m/b f/a")
		if want := []time.Duration{12 * time.Second, 3 * time.Second, time.Second}; !slices.Equal(x.limits, want) {
			t.Errorf("limits %v, want %v", x.limits, want)
		}
		if res.Class != retry.Timeout {
			t.Errorf("result %v, want timeout", res.Class)
		}
		for _, c := range m.All() {
			if n := c.Cooldown.Counts(time.Now()).Failed(); n != 0 || !c.Cooldown.Usable(time.Now()) {
				t.Errorf("%s: %d failures counted, usable %v; want none and usable", c.ID, n, c.Cooldown.Usable(time.Now()))
			}
		}
	})
	bubble(t, "but the router's own, when shorter, does", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		m.Policy.Timeout = 5 * time.Second
		x := script(map[string][]step{"m/a": hangs})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Timeout: 16 * time.Second}, x)
		if n := m.All()[0].Cooldown.Counts(time.Now()).Failed(); n != 1 {
			t.Errorf("%d failures counted, want 1", n)
		}
	})
	bubble(t, "longer than the deadline is nothing", func(t *testing.T) {
		m := newPool("m", deployment("a"))
		x := script(map[string][]step{"m/a": hangs})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Timeout: time.Hour}, x)
		if n := m.All()[0].Cooldown.Counts(time.Now()).Failed(); n != 1 || x.limits[0] != 10*time.Minute {
			t.Errorf("%d failures counted at %v, want 1 at 10m", n, x.limits[0])
		}
	})
	bubble(t, "ends with the first byte", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		x := script(map[string][]step{"m/a": {cut(retry.Connection, false)}, "m/b": hangs})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Timeout: 16 * time.Second}, x)
		x.want(t, "m/a m/b")
		if n := m.All()[1].Cooldown.Counts(time.Now()).Failed(); n != 1 || x.limits[1] != 10*time.Minute {
			t.Errorf("%d failures counted at %v, want 1 at 10m: the stream goes on in the router's time", n, x.limits[1])
		}
	})
}
