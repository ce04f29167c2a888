package strategies

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(RoundRobin{})
}

// RoundRobin gives each deployment its exact share by weight, evenly spread. Where
// one is out, the others keep their proportions; it comes back without making up for
// the time.
type RoundRobin struct{ pick selection.RoundRobin }

// CaddyModule returns the Caddy module information.
func (RoundRobin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.round_robin",
		New: func() caddy.Module { return new(RoundRobin) },
	}
}

// UnmarshalCaddyfile accepts `round_robin`, which has no options.
func (*RoundRobin) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return unmarshal(d, nil) }

// Pick implements selection.Strategy.
func (r *RoundRobin) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return r.pick.Pick(q, usable)
}

// Interface guards
var (
	_ selection.Strategy    = (*RoundRobin)(nil)
	_ caddyfile.Unmarshaler = (*RoundRobin)(nil)
)
