package engine

import (
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// bill adds up what the attempts of a request have cost.
type bill struct {
	known usage.Usage
	// unknown tells that an answer has cost something, and nobody knows how much.
	unknown bool
	// dollars is what the known usage costs, and unpriced tells that a part of it
	// has no price.
	dollars  float64
	unpriced bool
}

// add takes in what one attempt that ended so has cost, at a price that is nil where
// there is none.
func (b *bill) add(price *selection.Price, u *usage.Usage, class retry.Class) {
	if u.State == usage.Unknown {
		b.unknown = b.unknown || class == retry.None // any other had no content
		return
	}
	b.known.Input += u.Input
	b.known.Output += u.Output
	b.known.Cached += u.Cached
	b.known.Reasoning += u.Reasoning
	b.known.State = max(b.known.State, u.State)
	if price == nil {
		b.unpriced = true
		return
	}
	b.dollars += price.Cost(u.Input, u.Cached, u.Output)
}

// sum is what is known of all of it together.
func (b *bill) sum() usage.Usage {
	if b.unknown {
		return usage.Usage{}
	}
	return b.known
}

// cost is what all of it together costs, in US$; false where a part of it is not
// known, or nothing is.
func (b *bill) cost() (dollars float64, known bool) {
	if b.unpriced || b.sum().State == usage.Unknown {
		return 0, false
	}
	return selection.RoundCost(b.dollars), true
}

// CostWith is what the request has cost so far in US$, an answer of this attempt
// that takes u included; false where that is not known, and while what an attempt
// that lost has cost is not.
func (a *Attempt) CostWith(u usage.Usage) (dollars float64, known bool) {
	var b bill
	if a.walk != nil {
		if a.walk.losers > 0 {
			return 0, false
		}
		b = a.walk.bill
	}
	b.add(a.Candidate.Price, &u, retry.None)
	return b.cost()
}
