package litellm

import (
	"github.com/llmrouter/caddy-llm-router/internal/prices"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// maxTokenPrice is more than any token costs, in US$, and less than what the
// router would refuse.
const maxTokenPrice = 1e6

// readCost reads what the deployment's tokens cost. One price alone is taken for
// the whole, as that of embeddings is.
func (d *deployment) readCost(cfg *settings, params, info *section) {
	cost := new(upstreams.Cost)
	input, hasInput := readPrice("input_cost_per_token", &cost.Input, params, info)
	output, hasOutput := readPrice("output_cost_per_token", &cost.Output, params, info)
	switch {
	case !hasInput && !hasOutput:
		if cfg.strategy.Name == "cost" {
			params.warn("input_cost_per_token and output_cost_per_token are missing, and LiteLLM's list of prices is not known here; " +
				"the deployment comes after those that have them")
		}
		return
	case !hasInput:
		output.warn("input_cost_per_token is missing, and counts as 0")
	case !hasOutput:
		input.warn("output_cost_per_token is missing, and counts as 0")
	}
	var cached float64
	if _, ok := readPrice("cache_read_input_token_cost", &cached, params, info); ok {
		cost.Cached = &cached
	}
	d.Cost = cost
}

// readPrice reads the price of one kind of tokens, in which litellm_params win.
func readPrice(key string, into *float64, params, info *section) (at value, found bool) {
	for _, from := range []*section{info, params} {
		if v, ok := from.take(key); ok {
			*into, at, found = v.perMillion(), v, true
		}
	}
	return at, found
}

// perMillion reads the price of a token and gives that of a million.
func (v value) perMillion() float64 {
	n := v.number()
	if n > maxTokenPrice {
		v.fail("expected the price of one token in US$, at most %.0f", maxTokenPrice)
		return 0
	}
	return prices.PerMillion(n)
}
