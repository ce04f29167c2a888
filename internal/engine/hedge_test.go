package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/queue"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// What becomes of two attempts, in pools of three deployments that hedge after a
// second.
func TestHedging(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, test := range []struct {
		name   string
		script map[string][]step
		max    int
		trace  string
		heard  []string
		class  retry.Class
		by     string // whose answer the client got
		took   time.Duration
	}{
		{
			name: "an answer in time", script: map[string][]step{"a": {good(900 * ms)}},
			trace: "a@0s", heard: []string{"a:none"}, by: "a", took: 900 * ms,
		},
		{
			name: "a late one", script: map[string][]step{"a": {good(9 * s)}, "b": {good(500 * ms)}},
			trace: "a@0s b@1s", heard: []string{"b:none", "a:canceled", "b won against a"}, by: "b", took: 1500 * ms,
		},
		{
			name: "one that is not late enough", script: map[string][]step{"a": {good(1400 * ms)}, "b": {good(500 * ms)}},
			trace: "a@0s b@1s", heard: []string{"a:none", "b:canceled", "b lost against a"}, by: "a", took: 1400 * ms,
		},
		{
			name: "a failure before the hedge", script: map[string][]step{"a": {after(500*ms, retry.ServerError)}, "b": {good(900 * ms)}},
			trace: "a@0s b@500ms", heard: []string{"a:server_error", "b:none"}, by: "b", took: 1400 * ms,
		},
		{
			name: "a failover that is late", script: map[string][]step{"a": {after(500*ms, retry.ServerError)}, "b": {good(9 * s)}},
			trace: "a@0s b@500ms c@1.5s", heard: []string{"a:server_error", "c:none", "b:canceled", "c won against b"}, by: "c", took: 1500 * ms,
		},
		{
			name: "a failure beside the hedge", script: map[string][]step{"a": {after(1200*ms, retry.ServerError)}, "b": {good(2 * s)}},
			trace: "a@0s b@1s", heard: []string{"a:server_error", "b:none", "b won against a"}, by: "b", took: 3 * s,
		},
		{
			name: "a failure of the hedge", script: map[string][]step{"a": {good(3 * s)}, "b": {after(100*ms, retry.Overloaded)}},
			trace: "a@0s b@1s", heard: []string{"b:overloaded", "a:none", "b lost against a"}, by: "a", took: 3 * s,
		},
		{
			name: "a request that one finds wrong", script: map[string][]step{"a": {good(3 * s)}, "b": {fails(retry.BadRequest)}},
			trace: "a@0s b@1s", heard: []string{"b:bad_request", "a:none", "b lost against a"}, by: "a", took: 3 * s,
		},
		{
			name: "failures of both", script: map[string][]step{"a": {after(2*s, retry.ServerError)}, "b": {after(3*s, retry.Overloaded)}},
			trace: "a@0s b@1s c@4s", heard: []string{"a:server_error", "b:overloaded", "b lost against a", "c:none"}, by: "c", took: 4 * s,
		},
		{
			name:   "failures of both of which the later is final",
			script: map[string][]step{"a": {after(2*s, retry.ServerError)}, "b": {after(3*s, retry.BadRequest)}},
			trace:  "a@0s b@1s", heard: []string{"a:server_error", "b:bad_request", "b lost against a"}, class: retry.BadRequest, took: 4 * s,
		},
		{
			name: "one hedge alone", script: map[string][]step{"a": {after(1500*ms, retry.ServerError)}, "b": {good(9 * s)}},
			trace: "a@0s b@1s", heard: []string{"a:server_error", "b:none", "b won against a"}, by: "b", took: 10 * s,
		},
		{
			name: "another hedge for what is alone again", max: 2,
			script: map[string][]step{"a": {after(1500*ms, retry.ServerError)}, "b": {good(9 * s)}, "c": {good(100 * ms)}},
			trace:  "a@0s b@1s c@2s", heard: []string{"a:server_error", "c:none", "b:canceled", "b lost against a", "c won against b"},
			by: "c", took: 2100 * ms,
		},
		{
			name: "another hedge at once for what has been alone for too long", max: 2,
			script: map[string][]step{"a": {good(9 * s)}, "b": {after(5*s, retry.ServerError)}, "c": {good(100 * ms)}},
			trace:  "a@0s b@1s c@6s", heard: []string{"b:server_error", "c:none", "a:canceled", "b lost against a", "c won against a"},
			by: "c", took: 6100 * ms,
		},
	} {
		bubble(t, test.name, func(t *testing.T) {
			m := hedging(newPool("m", deployment("a"), deployment("b"), deployment("c")))
			m.Policy.Hedge.Max = max(1, test.max)
			r, x, heard := newRouter(t, m), racers(test.script), new(heard)
			r.Observer = heard
			res := serve(t.Context(), r, &Request{Model: "m", Stream: true, Repeated: true}, x)
			x.want(t, test.trace)
			heard.want(t, test.heard...)
			if res.Class != test.class || res.Attempts != len(x.trace) || res.Took != test.took || res.Upstream != test.took {
				t.Errorf("got class %v, %d attempts, took %v with %v upstream; want %v, %d, %v of both",
					res.Class, res.Attempts, res.Took, res.Upstream, test.class, len(x.trace), test.took)
			}
			if test.by != "" && (x.joined != test.by || res.Deployment() != test.by) {
				t.Errorf("got the answer of %s, result %s; want %s", x.joined, res.Deployment(), test.by)
			}
			idle(t, m)
		})
	}
}

// A hedge goes to an equal that is free, or nowhere.
func TestHedgesKnowTheirPlace(t *testing.T) {
	full := func(c *selection.Candidate) { c.MaxParallel = 1; c.Acquire() }
	for _, test := range []struct {
		name   string
		beside *selection.Candidate
		set    func(m *Pool, req *Request)
		hedged bool
	}{
		{name: "an equal", beside: deployment("b"), hedged: true},
		{name: "a backup", beside: deployment("b", order(2))},
		{name: "what is full", beside: deployment("b", full)},
		{name: "what is down", beside: deployment("b", down)},
		{name: "what is for others", beside: deployment("b", teams("x"))},
		{name: "what has used up its limit", beside: deployment("b", func(c *selection.Candidate) {
			c.Limiter = c.Minute.Limit(1, 0)
			c.Limiter.Reserve(time.Now(), 0)
		})},
		{name: "what does nothing but fail", beside: deployment("b"), set: func(m *Pool, _ *Request) {
			for range 5 {
				m.All()[1].Failed(time.Now())
			}
		}},
		{name: "what cools down", beside: deployment("b"), set: func(m *Pool, _ *Request) {
			m.All()[1].Cooldown.Cool(time.Now(), retry.Auth, time.Hour)
		}},
		{name: "what is on probation", beside: deployment("b"), set: func(m *Pool, _ *Request) {
			m.All()[1].Cooldown.Cool(time.Now(), retry.Auth, time.Millisecond)
			time.Sleep(time.Second)
		}},
		{name: "where the budget is used up", beside: deployment("b"), set: func(m *Pool, _ *Request) {
			m.Policy.Retry.Budget = retry.NewBudget(0, 0)
		}},
		{name: "where others wait", beside: deployment("b"), set: func(m *Pool, _ *Request) {
			m.Policy.Queue = QueuePolicy{Size: 1, Timeout: time.Minute}
			time.AfterFunc(500*time.Millisecond, func() {
				m.Queue.Wait(context.Background(), queue.Entry{
					Size: 1, Timeout: time.Minute, Kind: 0,
					Take: func() bool { return false },
					Next: func(time.Time) (time.Duration, bool) { return time.Hour, true },
				})
			})
		}},
		{name: "a request that is to stay", beside: deployment("b"), set: func(_ *Pool, req *Request) { req.NoFallback = true }},
		{name: "a pool that does not", beside: deployment("b"), set: func(m *Pool, _ *Request) { m.Policy.Hedge = HedgePolicy{} }},
	} {
		bubble(t, test.name, func(t *testing.T) {
			b := test.beside
			m := hedging(newPool("m", deployment("a"), b))
			m.Policy.HealthPanic = false
			req := &Request{Model: "m", Stream: true}
			if test.set != nil {
				test.set(m, req)
			}
			x := racers(map[string][]step{"a": {good(5 * time.Second)}, "b": {good(time.Millisecond)}})
			res := serve(t.Context(), newRouter(t, m), req, x)
			want := "a"
			if test.hedged {
				want = "b"
			}
			if res.Class != retry.None || x.joined != want || x.forks != 0 {
				t.Errorf("got %v by %s with %d attempts left over, want an answer by %s", res.Class, x.joined, x.forks, want)
			}
			time.Sleep(2 * time.Minute) // for who waits
		})
	}
	bubble(t, "what cannot do two things at once", func(t *testing.T) {
		x := script(map[string][]step{"m/a": {takes(5 * time.Second)}})
		serve(t.Context(), newRouter(t, hedging(newPool("m", deployment("a"), deployment("b")))), &Request{Model: "m"}, x)
		x.want(t, "m/a")
	})
	bubble(t, "a stream that goes on elsewhere", func(t *testing.T) {
		x := racers(map[string][]step{"a": {cut(retry.Connection, false)}, "b": {good(5 * time.Second)}})
		m := hedging(newPool("m", deployment("a"), deployment("b"), deployment("c")))
		serve(t.Context(), newRouter(t, m), &Request{Model: "m", Stream: true}, x)
		x.want(t, "a@0s b@0s")
	})
}

// A probe that is late may be hedged, and is not held against its deployment.
func TestProbesAreHedged(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, b := deployment("a", cooling(time.Millisecond, retry.Auth)), deployment("b")
		time.Sleep(time.Second)
		x := racers(map[string][]step{"a": {good(time.Hour)}})
		serve(t.Context(), newRouter(t, hedging(newPool("m", a, b))), &Request{Model: "m"}, x)
		if x.joined != "b" || !a.Cooldown.Usable(time.Now()) || a.Failures() != 0 {
			t.Errorf("got the answer of %s, a usable %v with %d failures; want b's, and a free to be probed again", x.joined, a.Cooldown.Usable(time.Now()), a.Failures())
		}
	})
}

// The loser's deployment is free while the client still reads the other's answer,
// and what its prompt has cost is on the bill.
func TestLosersAreSettledAtOnce(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, b := deployment("a", parallel(1)), deployment("b")
		a.Limiter = a.Minute.Limit(10, 1000)
		a.Price, b.Price = &selection.Price{Input: 1}, &selection.Price{Input: 10}
		m := hedging(newPool("m", a, b))
		m.Strategy = timed{}
		answer := step{takes: time.Second, deliver: Outcome{Streamed: true, FirstToken: time.Second, Usage: usage.Usage{Input: 70, Output: 30, State: usage.Reported}}}
		x := racers(map[string][]step{"a": {good(time.Hour)}, "b": {answer}})
		x.deliver = func(at *Attempt) {
			time.Sleep(time.Minute)
			if n, _ := a.Unanswered(); a.InFlight() != 0 || n != 0 || a.InFlightTokens() != 0 {
				t.Errorf("got %d in flight on the loser, %d unanswered, %d tokens; want none", a.InFlight(), n, a.InFlightTokens())
			}
			if first, _ := a.Latency.FirstToken(time.Now(), 100); first != 2*time.Second {
				t.Errorf("got %v as the loser's latency, want the 2s that it was waited for", first)
			}
			if at.Made != 2 || at.Number != 2 || !at.Hedge {
				t.Errorf("got attempt %d of %d, a hedge %v; want the hedge to be 2 of 2", at.Number, at.Made, at.Hedge)
			}
			if cost, known := at.CostWith(usage.Usage{Input: 70, State: usage.Reported}); known {
				t.Errorf("got a cost of %v, want none that is known before the loser's is", cost)
			}
		}
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m", PromptTokens: 90}, x)
		if want := (usage.Usage{Input: 170, Output: 30, State: usage.Estimated}); res.Usage != want {
			t.Errorf("got a usage of %+v, want %+v", res.Usage, want)
		}
		if want := (100 + 10*70) / 1e6; !res.CostKnown || fmt.Sprintf("%.6f", res.Cost) != fmt.Sprintf("%.6f", want) {
			t.Errorf("got a cost of %v, known %v; want %v", res.Cost, res.CostKnown, want)
		}
		if requests, tokens := a.Minute.Used(time.Now()); requests != 0 || tokens != 0 { // a minute has passed
			t.Errorf("got %d requests and %d tokens of the loser's minute, want it over", requests, tokens)
		}
		if a.Failures() != 0 {
			t.Errorf("got %d failures of the loser, want none", a.Failures())
		}
	})
}

// A session is where its answer came from, and so is the answer itself.
func TestSessionsGoWithTheWinner(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m := keeping(hedging(newPool("m", deployment("a"), deployment("b"))))
		r := newRouter(t, m)
		x := racers(map[string][]step{"a": {good(time.Millisecond), good(time.Hour), good(time.Millisecond)}})
		for i, want := range []struct {
			trace string
			is    affinity.Result
		}{{"a@0s", affinity.New}, {"a@1ms b@1.001s", affinity.Moved}, {"b@1.001s", affinity.Hit}} {
			x.trace = nil
			res := serve(t.Context(), r, &Request{Model: "m", Session: named{session: "one"}}, x)
			x.want(t, want.trace)
			if res.Affinity != want.is {
				t.Errorf("request %d: got a session that is %q, want %q", i, res.Affinity, want.is)
			}
		}
	})
}

func TestLosersCountInTheirLimits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := deployment("a")
		a.Limiter = a.Minute.Limit(10, 1000)
		x := racers(map[string][]step{"a": {good(time.Hour)}})
		serve(t.Context(), newRouter(t, hedging(newPool("m", a, deployment("b")))), &Request{Model: "m", PromptTokens: 90}, x)
		if requests, tokens := a.Minute.Used(time.Now()); requests != 1 || tokens != 100 {
			t.Errorf("got %d requests and %d tokens used, want 1 and the 100 that it has cost", requests, tokens)
		}
	})
}

// A hedge is a retry to the budget, whatever comes of it.
func TestHedgesAreOnTheBudget(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m := hedging(newPool("m", deployment("a"), deployment("b")))
		m.Policy.Retry.Budget = retry.NewBudget(10, 0)
		r, exchanges := newRouter(t, m), make([]*racing, 100)
		var all sync.WaitGroup
		for i := range exchanges {
			x := racers(map[string][]step{"a": {good(1001 * time.Millisecond)}, "b": {good(time.Hour)}})
			exchanges[i] = x
			all.Go(func() { serve(t.Context(), r, &Request{Model: "m"}, x) })
		}
		all.Wait()
		hedges := 0
		for _, x := range exchanges {
			hedges += len(x.trace) - 1
		}
		if hedges != 10 {
			t.Errorf("got %d hedges of 100 requests, want the 10 of the budget", hedges)
		}
	})
}
