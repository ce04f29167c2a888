package strategies

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(LeastBusy{})
}

// LeastBusy picks the deployment that carries the least, for its weight. Servers
// that are slower than others keep their requests for longer and so get fewer. Of
// equals it picks one at random, by weight.
type LeastBusy struct {
	// What is counted: `requests` in flight, or the `tokens` of their prompts, for
	// servers that a long prompt keeps busy for longer. Default: `requests`.
	By string `json:"by,omitempty"`

	pick selection.LeastBusy
}

const (
	byRequests = "requests"
	byTokens   = "tokens"
)

// CaddyModule returns the Caddy module information.
func (LeastBusy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.least_busy",
		New: func() caddy.Module { return new(LeastBusy) },
	}
}

// UnmarshalCaddyfile sets up the strategy:
//
//	least_busy {
//		by requests|tokens
//	}
func (l *LeastBusy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, map[string]option{
		"by": func(value string) string {
			if value != byRequests && value != byTokens {
				return "requests or tokens"
			}
			l.By = value
			return ""
		},
	})
}

// Provision implements caddy.Provisioner.
func (l *LeastBusy) Provision(caddy.Context) error {
	switch l.By {
	case "", byRequests, byTokens:
	default:
		return fmt.Errorf("by is %q; expected requests or tokens", l.By)
	}
	l.pick.Tokens = l.By == byTokens
	return nil
}

// Pick implements selection.Strategy.
func (l *LeastBusy) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return l.pick.Pick(q, usable)
}

// Interface guards
var (
	_ selection.Strategy    = (*LeastBusy)(nil)
	_ caddy.Provisioner     = (*LeastBusy)(nil)
	_ caddyfile.Unmarshaler = (*LeastBusy)(nil)
)
