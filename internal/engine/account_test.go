package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestSettlement(t *testing.T) {
	reported := usage.Usage{Input: 30, Output: 12, State: usage.Reported}
	estimated := usage.Usage{Input: 100, Output: 5, State: usage.Estimated}
	for _, test := range []struct {
		name   string
		step   step
		tokens int64 // of 100 that were reserved
	}{
		{"an answer that tells", step{deliver: Outcome{Usage: reported}}, 42},
		{"an answer that does not", step{}, 100},
		{"a client that left in mid-stream", step{deliver: Outcome{Class: retry.Canceled, Final: true, Usage: estimated}}, 105},
		{"a client that left before", fails(retry.Canceled), 100},
		{"an attempt that took too long", fails(retry.Timeout), 100},
		{"a stream that was cut", step{deliver: Outcome{Class: retry.Connection, Final: true, Usage: estimated}}, 105},
		{"a refusal", fails(retry.RateLimit), 0},
		{"a server that cannot be reached", fails(retry.Connection), 0},
		{"a prompt that is too long", fails(retry.ContextWindow), 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := deployment("a")
				a.Limiter = a.Minute.Limit(10, 1000)
				x := script(map[string][]step{"m/a": {test.step}})
				serve(t.Context(), newRouter(t, newPool("m", a)), &Request{Model: "m", PromptTokens: 100, Repeated: true}, x)
				if requests, tokens := a.Minute.Used(time.Now()); requests != 1 || tokens != test.tokens {
					t.Errorf("got %d requests and %d tokens used, want 1 and %d", requests, tokens, test.tokens)
				}
			})
		})
	}
}

// An answer's length is expected of the next ones too, as far as they allow it.
func TestReservationExpectsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := deployment("a")
		a.Limiter = a.Minute.Limit(0, 1000)
		x := script(map[string][]step{"m/a": {{deliver: Outcome{Usage: usage.Usage{Input: 100, Output: 400, State: usage.Reported}}}}})
		r := newRouter(t, newPool("m", a))
		for i, test := range []struct {
			prompt, limit int
			want          retry.Class
		}{
			{100, 0, retry.None}, // 500 of 1000 are used then
			{200, 0, retry.RateLimit},
			{200, 200, retry.None},
		} {
			req := &Request{Model: "m", PromptTokens: test.prompt, MaxOutput: test.limit}
			if res := serve(t.Context(), r, req, x); res.Class != test.want {
				t.Errorf("request %d: got %v, want %v", i, res.Class, test.want)
			}
		}
	})
}

// What an answer says is left keeps the next request away until it comes back.
func TestProvidersLimitIsHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := deployment("a"), deployment("b", order(2))
		x := script(nil)
		x.before = func(at *Attempt) {
			if at.Candidate == a {
				at.Headroom.Requests = retry.Left{Known: true, Remaining: 0, Limit: 2, Reset: 20 * time.Second}
			}
		}
		r := newRouter(t, newPool("m", a, b))
		for range 2 {
			serve(t.Context(), r, &Request{Model: "m"}, x)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a m/b m/a")
		alone := newRouter(t, newPool("m", a))
		res := serve(t.Context(), alone, &Request{Model: "m"}, x)
		if !res.Limited || res.Wait.Round(time.Second) != 10*time.Second {
			t.Errorf("got limited %v and a wait of %v, want the 10 s until the next request is back", res.Limited, res.Wait)
		}
	})
}
