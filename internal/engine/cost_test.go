package engine

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func priced(input, output float64) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.Price = &selection.Price{Input: input, Output: output} }
}

func unpriced(*selection.Candidate) {}

func TestCostOfARequest(t *testing.T) {
	reported := usage.Usage{Input: 30, Output: 12, Cached: 20, State: usage.Reported}
	estimated := usage.Usage{Input: 100, Output: 5, State: usage.Estimated}
	told := step{deliver: Outcome{Usage: reported}}
	broken := step{deliver: Outcome{Class: retry.Connection, Usage: estimated}}
	cheap, dear, free := priced(0.1, 0.2), priced(3, 15), priced(0, 0)
	const (
		cheapReported  = (30*0.1 + 12*0.2) / 1e6
		cheapEstimated = (100*0.1 + 5*0.2) / 1e6
		dearReported   = (30*3 + 12*15) / 1e6
	)
	for _, test := range []struct {
		name           string
		a, b           step
		aPrice, bPrice func(*selection.Candidate)
		known          bool
		want           float64
		wantA, wantB   float64 // of each deployment
	}{
		{"an answer that tells", told, step{}, cheap, dear, true, cheapReported, cheapReported, 0},
		{"of what is free", told, step{}, free, dear, true, 0, 0, 0},
		{"of what has no price", told, step{}, unpriced, dear, false, 0, 0, 0},
		{"an answer that does not tell", step{}, step{}, cheap, dear, false, 0, 0, 0},
		{"failed over: what failed has cost nothing", fails(retry.ServerError), told, cheap, dear, true, dearReported, 0, dearReported},
		{"failed over from what has no price", fails(retry.ServerError), told, unpriced, dear, true, dearReported, 0, dearReported},
		{"failed over to what has no price", fails(retry.ServerError), told, cheap, unpriced, false, 0, 0, 0},
		{"nothing has cost anything", fails(retry.ServerError), fails(retry.ServerError), cheap, dear, false, 0, 0, 0},
		{"a stream that went on elsewhere", broken, told, cheap, dear, true, cheapEstimated + dearReported, cheapEstimated, dearReported},
		{"one that went on where nobody tells", broken, step{}, cheap, dear, false, 0, cheapEstimated, 0},
		{"one that went on where there is no price", broken, told, cheap, unpriced, false, 0, cheapEstimated, 0},
		{"one that came from where there is no price", broken, told, unpriced, dear, false, 0, 0, dearReported},
		{"one that nobody could go on with", broken, fails(retry.ServerError), cheap, dear, true, cheapEstimated, cheapEstimated, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := deployment("a", test.aPrice), deployment("b", test.bPrice)
			x := script(map[string][]step{"m/a": {test.a}, "m/b": {test.b}})
			res := serve(t.Context(), newRouter(t, newPool("m", a, b)), &Request{Model: "m", Repeated: true}, x)
			if res.CostKnown != test.known || res.Cost != selection.RoundCost(test.want) {
				t.Errorf("got a cost of %v, known: %t; want %v, %t", res.Cost, res.CostKnown, test.want, test.known)
			}
			for _, d := range []struct {
				*selection.Candidate
				want float64
			}{{a, test.wantA}, {b, test.wantB}} {
				if got := d.Cost(); got != selection.RoundCost(d.want) {
					t.Errorf("deployment %s: got a cost of %v, want %v", d.ID, got, d.want)
				}
			}
		})
	}
}

// What the head of an answer says is what the request has cost in the end.
func TestCostBeforeTheAnswerIsDelivered(t *testing.T) {
	reported := usage.Usage{Input: 30, Output: 12, State: usage.Reported}
	broken := step{deliver: Outcome{Class: retry.Connection, Usage: usage.Usage{Input: 100, Output: 5, State: usage.Estimated}}}
	a, b := deployment("a", priced(0.1, 0.2)), deployment("b", priced(3, 15))
	x := script(map[string][]step{"m/a": {broken}, "m/b": {{deliver: Outcome{Usage: reported}}}})
	var got float64
	var known bool
	x.before = func(attempt *Attempt) {
		if _, told := attempt.CostWith(usage.Usage{}); told {
			t.Errorf("attempt %d: got a cost of an answer that does not tell its usage", attempt.Number)
		}
		got, known = attempt.CostWith(reported)
	}
	res := serve(t.Context(), newRouter(t, newPool("m", a, b)), &Request{Model: "m", Repeated: true}, x)
	if !known || !res.CostKnown || got != res.Cost || res.Cost == 0 {
		t.Errorf("got %v (%t) before, %v (%t) after; want the same", got, known, res.Cost, res.CostKnown)
	}
}
