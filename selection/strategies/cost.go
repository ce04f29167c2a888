package strategies

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(Cost{})
}

// Cost picks the deployment where the request costs least by the deployment's
// `cost`: its prompt, and an answer as long as answers are on average. A cost of 0
// is the cheapest; a deployment without one comes after all that have one. Of equals
// it picks one at random, by weight.
type Cost struct{ pick selection.Cheapest }

// CaddyModule returns the Caddy module information.
func (Cost) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.cost",
		New: func() caddy.Module { return new(Cost) },
	}
}

// UnmarshalCaddyfile accepts `cost`, which has no options.
func (*Cost) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return unmarshal(d, nil) }

// Pick implements selection.Strategy.
func (c *Cost) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return c.pick.Pick(q, usable)
}

// Interface guards
var (
	_ selection.Strategy    = (*Cost)(nil)
	_ caddyfile.Unmarshaler = (*Cost)(nil)
)
