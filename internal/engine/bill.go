package engine

import (
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// bill adds up what the attempts of a request have cost.
type bill struct {
	known usage.Usage
	// unknown tells that an answer has cost something, and nobody knows how much.
	unknown bool
}

// add takes one attempt in.
func (b *bill) add(out Outcome) {
	u := &out.Usage
	if u.State == usage.Unknown {
		b.unknown = b.unknown || out.Class == retry.None // any other had no content
		return
	}
	b.known.Input += u.Input
	b.known.Output += u.Output
	b.known.Cached += u.Cached
	b.known.Reasoning += u.Reasoning
	b.known.State = max(b.known.State, u.State)
}

// sum is what is known of all of it together.
func (b *bill) sum() usage.Usage {
	if b.unknown {
		return usage.Usage{}
	}
	return b.known
}
