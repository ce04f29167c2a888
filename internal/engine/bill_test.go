package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestBill(t *testing.T) {
	reported := usage.Usage{Input: 30, Output: 12, Cached: 20, Reasoning: 5, State: usage.Reported}
	estimated := usage.Usage{Input: 100, Output: 5, State: usage.Estimated}
	told := step{deliver: Outcome{Usage: reported}}
	broken := step{deliver: Outcome{Class: retry.Connection, Usage: estimated}}
	brokenAtTheEnd := step{deliver: Outcome{Class: retry.Connection, Usage: reported}}
	for _, test := range []struct {
		name string
		a, b step
		want usage.Usage
	}{
		{"an answer that tells", told, step{}, reported},
		{"an answer that does not", step{}, step{}, usage.Usage{}},
		{"an attempt without content has cost nothing", fails(retry.ServerError), told, reported},
		{"nothing has cost anything", fails(retry.ServerError), fails(retry.ServerError), usage.Usage{}},
		{"a stream that went on elsewhere", broken, told, usage.Usage{Input: 130, Output: 17, Cached: 20, Reasoning: 5, State: usage.Estimated}},
		{"one that had told", brokenAtTheEnd, told, usage.Usage{Input: 60, Output: 24, Cached: 40, Reasoning: 10, State: usage.Reported}},
		{"one that went on where nobody tells", broken, step{}, usage.Usage{}},
		{"one that nobody could go on with", broken, fails(retry.ServerError), estimated},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := deployment("a"), deployment("b")
			x := script(map[string][]step{"m/a": {test.a}, "m/b": {test.b}})
			res := serve(t.Context(), newRouter(t, newPool("m", a, b)), &Request{Model: "m", Repeated: true}, x)
			if res.Usage != test.want {
				t.Errorf("got %+v, want %+v", res.Usage, test.want)
			}
			wantA, wantB := test.a.deliver.Usage, test.b.deliver.Usage
			if b.Requests() == 0 {
				wantB = usage.Usage{}
			}
			if a.InputTokens() != wantA.Input || a.OutputTokens() != wantA.Output || b.InputTokens() != wantB.Input || b.OutputTokens() != wantB.Output {
				t.Errorf("got %d and %d tokens of a, %d and %d of b; want those of each one's own attempt",
					a.InputTokens(), a.OutputTokens(), b.InputTokens(), b.OutputTokens())
			}
		})
	}
}

// The first token is timed from where the request began, and once: what goes on
// with a stream is not the first.
func TestFirstTokenOfARequest(t *testing.T) {
	const s = time.Second
	stream := func(takes, first time.Duration, class retry.Class) step {
		return step{takes: takes, deliver: Outcome{Class: class, Streamed: true, FirstToken: first}}
	}
	for _, test := range []struct {
		name string
		a, b step
		want time.Duration
	}{
		{"at once", stream(2*s, 1*s, retry.None), step{}, 1 * s},
		{"after a failure", step{takes: 3 * s, Outcome: Outcome{Class: retry.ServerError}}, stream(2*s, 1*s, retry.None), 4 * s},
		{"of a stream that went on elsewhere", stream(2*s, 1*s, retry.Connection), stream(2*s, 1*s, retry.None), 1 * s},
		{"of no stream", step{deliver: Outcome{FirstToken: s}}, step{}, 0},
		{"that nobody saw", stream(2*s, 0, retry.None), step{}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := script(map[string][]step{"m/a": {test.a}, "m/b": {test.b}})
				res := serve(t.Context(), newRouter(t, newPool("m", deployment("a"), deployment("b"))), &Request{Model: "m", Stream: true}, x)
				if res.FirstToken != test.want {
					t.Errorf("got %v, want %v", res.FirstToken, test.want)
				}
			})
		})
	}
}
