package upstreams

import (
	"errors"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// Cost is what a deployment's tokens cost. 0 is free.
type Cost struct {
	// US$ per million tokens of prompts.
	Input float64 `json:"input"`

	// US$ per million tokens of answers.
	Output float64 `json:"output"`

	// US$ per million tokens of prompts that came from a cache of the provider's.
	// Default: the same as `input`.
	Cached *float64 `json:"cached,omitempty"`
}

func (c *Cost) validate() error {
	switch {
	case c == nil:
	case !(c.Input >= 0), !(c.Output >= 0), !(or(c.Cached, 0) >= 0),
		c.Input > maxNumber, c.Output > maxNumber, or(c.Cached, 0) > maxNumber:
		return errors.New("cost is negative or too large")
	}
	return nil
}

// price is the cost as strategies see it; nil is unknown.
func (c *Cost) price() *selection.Price {
	if c == nil {
		return nil
	}
	price := &selection.Price{Input: c.Input, Output: c.Output}
	price.CachedAt(or(c.Cached, c.Input))
	return price
}

func (dep *Deployment) unmarshalCost(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 && len(args) != 3 {
		return d.Errf("deployment %s: cost: expected <input> <output> [<cached>] in US$ per million tokens, got %d arguments", dep.ID, len(args))
	}
	dep.Cost = new(Cost)
	into := []*float64{&dep.Cost.Input, &dep.Cost.Output}
	if len(args) == 3 {
		dep.Cost.Cached = new(float64)
		into = append(into, dep.Cost.Cached)
	}
	for i, into := range into {
		n, err := strconv.ParseFloat(args[i], 64)
		if err != nil || !(n >= 0) || n > maxNumber {
			return d.Errf("deployment %s: cost: expected a number that is not negative, in US$ per million tokens, got '%s'", dep.ID, args[i])
		}
		*into = n
	}
	return nil
}
