// Package strategies makes the router's strategies available as Caddy modules
// in the namespace http.llm_router.strategies. A module of that namespace is a
// selection.Strategy, so that others can add their own.
package strategies

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(Weighted{})
}

// Weighted picks at random, each deployment with a probability of its weight
// over the total of what is usable. When the weights of what is usable add up
// to nothing, `rpm` is the weight, then `tpm`; without any of them all are equal.
type Weighted struct {
	selection.Weighted
}

// CaddyModule returns the Caddy module information.
func (Weighted) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.weighted",
		New: func() caddy.Module { return new(Weighted) },
	}
}

// UnmarshalCaddyfile accepts `weighted`, which has no options.
func (*Weighted) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return unmarshal(d, nil) }

// Interface guards
var (
	_ selection.Strategy    = (*Weighted)(nil)
	_ caddyfile.Unmarshaler = (*Weighted)(nil)
)
