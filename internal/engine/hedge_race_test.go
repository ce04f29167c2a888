package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// When the client leaves both attempts end, and nobody is blamed.
func TestClientLeavesBoth(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m := hedging(newPool("m", deployment("a"), deployment("b"), deployment("c")))
		r, x, heard := newRouter(t, m), racers(map[string][]step{"a": {good(time.Hour)}, "b": {good(time.Hour)}}), new(heard)
		r.Observer = heard
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		res := serve(ctx, r, &Request{Model: "m"}, x)
		x.want(t, "a@0s b@1s")
		slices.Sort(*heard) // they end at the same moment
		heard.want(t, "a:canceled", "b lost against a", "b:canceled")
		if res.Class != retry.Canceled || res.Took != 30*time.Second {
			t.Errorf("got %v after %v, want canceled after 30s", res.Class, res.Took)
		}
		idle(t, m)
	})
}

// The limits of attempts hold for a hedge as for any other.
func TestHedgesKeepToTheirLimits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m := hedging(newPool("m", deployment("a"), deployment("b")))
		m.Policy.Deadline, m.Policy.FirstToken, m.Policy.Retry.Retries = time.Minute, 3*time.Second, 0
		r, x, heard := newRouter(t, m), racers(map[string][]step{"a": {good(time.Hour)}, "b": {good(time.Hour)}}), new(heard)
		r.Observer = heard
		res := serve(t.Context(), r, &Request{Model: "m", Stream: true}, x)
		x.want(t, "a@0s b@1s")
		heard.want(t, "a:timeout", "b:timeout", "b lost against a")
		if res.Class != retry.Timeout || res.Took != 4*time.Second {
			t.Errorf("got %v after %v, want a timeout after 4s", res.Class, res.Took)
		}
		idle(t, m)
	})
}

// A hedge that had less time than the attempt beside it is not to blame.
func TestHedgesAreExcusedForLittleTime(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, b := deployment("a"), deployment("b")
		m := hedging(newPool("m", a, b))
		m.Policy.Deadline, m.Policy.Retry.Retries = 2*time.Second, 0
		x := racers(map[string][]step{"a": {good(time.Hour)}, "b": {good(time.Hour)}})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "a@0s b@1s")
		if res.Class != retry.Timeout || a.Failures() != 1 || b.Failures() != 0 {
			t.Errorf("got %v with %d failures of the first and %d of the hedge; want a timeout with 1 and 0", res.Class, a.Failures(), b.Failures())
		}
	})
}

// One that ran into its deployment's own limit is, however long the other one may take.
func TestHedgesAreBlamedForTheirOwnLimits(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, b := deployment("a"), deployment("b")
		b.Limits.Whole = 2 * time.Second
		x := racers(map[string][]step{"a": {good(time.Minute)}, "b": {good(time.Hour)}})
		res := serve(t.Context(), newRouter(t, hedging(newPool("m", a, b))), &Request{Model: "m"}, x)
		x.want(t, "a@0s b@1s")
		if res.Class != retry.None || a.Failures() != 0 || b.Failures() != 1 {
			t.Errorf("got %v with %d failures of the first and %d of the hedge; want a good answer with 0 and 1", res.Class, a.Failures(), b.Failures())
		}
	})
}

// A panic in an attempt is one of its request, not of the process, and nothing of
// either attempt is left behind.
func TestPanicsComeUpInTheRequest(t *testing.T) {
	for _, test := range []struct {
		name      string
		who       string // panics
		when      time.Duration
		delivered bool
	}{
		{"in the first attempt", "a", 0, false},
		{"in the hedge", "b", 0, false},
		{"in the first attempt beside the hedge", "a", 2 * time.Second, false},
		{"in the loser", "a", 10 * time.Second, true},
		{"while the client gets the answer", "client", 0, true},
	} {
		bubble(t, test.name, func(t *testing.T) {
			m := hedging(newPool("m", deployment("a", parallel(1)), deployment("b", parallel(1))))
			x := racers(map[string][]step{"a": {good(time.Hour)}, "b": {good(5 * time.Second)}})
			x.panics = func(ctx context.Context, id string) {
				if id == test.who {
					sleep(ctx, test.when)
					panic("out of cheese")
				}
			}
			delivered := false
			x.deliver = func(*Attempt) {
				delivered = true
				x.panics(t.Context(), "client")
			}
			func() {
				defer func() {
					if p := recover(); p != "out of cheese" {
						t.Errorf("got %v, want the panic of the attempt", p)
					}
				}()
				serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
			}()
			if delivered != test.delivered {
				t.Errorf("got an answer delivered %v, want %v", delivered, test.delivered)
			}
			idle(t, m)
		})
	}
}

// startled is a strategy that does not bear to hear of b.
type startled struct{ inOrder }

func (startled) Sent(_ *selection.Query, c *selection.Candidate) int {
	if c.ID == "b" {
		panic("out of cheese")
	}
	return 0
}

func TestPanicsOfStrategiesLeaveNothingBehind(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m := hedging(newPool("m", deployment("a"), deployment("b")))
		m.Strategy = startled{}
		func() {
			defer func() {
				if p := recover(); p != "out of cheese" {
					t.Errorf("got %v, want the panic of the strategy", p)
				}
			}()
			serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, racers(map[string][]step{"a": {good(time.Hour)}}))
		}()
		idle(t, m)
	})
}

// arbiter keeps the limit of all instances, and is slow to answer.
type arbiter struct {
	takes time.Duration
	ok    bool
}

func (a arbiter) Reserve(ctx context.Context, _, _, _ int64) (ok bool, wait time.Duration, err error) {
	if !sleep(ctx, a.takes) {
		return false, 0, ctx.Err()
	}
	return a.ok, time.Minute, nil
}

// A hedge is not sent where the other instances leave nothing of a limit, and the
// answer that is late does not wait for them.
func TestHedgesAskTheOtherInstances(t *testing.T) {
	for _, test := range []struct {
		name     string
		says     arbiter
		trace    string
		attempts int
		took     time.Duration
	}{
		{"a share is left", arbiter{time.Second, true}, "a@0s b@2s", 2, 2500 * time.Millisecond},
		{"nothing is left", arbiter{time.Second, false}, "a@0s", 1, 5 * time.Second},
		{"too slow to say", arbiter{time.Hour, true}, "a@0s", 1, 5 * time.Second},
	} {
		bubble(t, test.name, func(t *testing.T) {
			b := deployment("b", func(c *selection.Candidate) { c.Limiter = c.Minute.Limit(10, 0) })
			b.Limiter.AskFirst(test.says)
			m := hedging(newPool("m", deployment("a"), b))
			x := racers(map[string][]step{"a": {good(5 * time.Second)}, "b": {good(500 * time.Millisecond)}})
			res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
			x.want(t, test.trace)
			if res.Attempts != test.attempts || res.Took != test.took {
				t.Errorf("got %d attempts in %v, want %d in %v", res.Attempts, res.Took, test.attempts, test.took)
			}
			if requests, _ := b.Minute.Used(time.Now()); requests != int64(test.attempts-1) || b.Requests() != int64(test.attempts-1) {
				t.Errorf("got %d requests in the limit of b and %d sent, want %d of both", requests, b.Requests(), test.attempts-1)
			}
			idle(t, m)
		})
	}
}
