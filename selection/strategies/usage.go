package strategies

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(Usage{})
}

// Usage picks the deployment that has used the smallest part of its `rpm` or `tpm`,
// whichever is nearer to its end, so that all come to the end of their limits
// together. A deployment without limits comes after all that have some. Of equals it
// picks one at random, by weight.
type Usage struct{ pick selection.LeastUsed }

// CaddyModule returns the Caddy module information.
func (Usage) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.usage",
		New: func() caddy.Module { return new(Usage) },
	}
}

// UnmarshalCaddyfile accepts `usage`, which has no options.
func (*Usage) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return unmarshal(d, nil) }

// Pick implements selection.Strategy.
func (u *Usage) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return u.pick.Pick(q, usable)
}

// Interface guards
var (
	_ selection.Strategy    = (*Usage)(nil)
	_ caddyfile.Unmarshaler = (*Usage)(nil)
)
