package engine

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// ofTheirOwn is a strategy that falls back on another one.
type ofTheirOwn struct{ selection.Weighted }

func (s ofTheirOwn) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	for _, c := range usable {
		if c.ID == "b" {
			return c
		}
	}
	return s.Weighted.Pick(q, usable)
}

// What somebody else's strategy picks is what is picked, also where it is built on one
// that draws before it looks.
func TestAStrategyBuiltOnWeightedPicksByItself(t *testing.T) {
	bubble(t, "embedded", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"), deployment("c"))
		m.Strategy = ofTheirOwn{}
		r := newRouter(t, m)
		for range 20 {
			x := script(nil)
			serve(t.Context(), r, &Request{Model: "m"}, x)
			x.want(t, "m/b")
		}
	})
}
