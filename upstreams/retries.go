package upstreams

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Retries says how often a pool is tried again once every deployment of it has
// failed a request, and after which wait. Moving on to a deployment that has
// not been tried is failover and costs no retry.
type Retries struct {
	// How many retries a request has in one pool. Default: 2.
	Count *int `json:"count,omitempty"`

	// Other counts for single error classes: `connection`, `timeout`,
	// `rate_limit`, `quota`, `auth`, `not_found`, `overloaded`, `server_error`.
	// Classes that trying again does not help (`timeout`, `quota`, `auth`,
	// `not_found`) have none unless set here.
	Classes map[string]int `json:"classes,omitempty"`

	// The wait before the first retry; it doubles with each one. The real wait
	// is a random part of it. Default: `500ms`.
	InitialBackoff caddy.Duration `json:"initial_backoff,omitempty"`

	// The longest backoff. Default: `8s`.
	MaxBackoff caddy.Duration `json:"max_backoff,omitempty"`

	// The longest `Retry-After` or backoff that is waited for when there is no
	// fallback. Default: `60s`.
	MaxWait caddy.Duration `json:"max_wait,omitempty"`

	// The same when there is a fallback to go to instead. Default: `5s`.
	MaxWaitWithFallback caddy.Duration `json:"max_wait_with_fallback,omitempty"`

	// How many retries and hedges a pool makes at most, in percent of its requests
	// of the last ten seconds. Default: 20.
	BudgetPercent *float64 `json:"budget_percent,omitempty"`

	// How many of them a second the budget always allows. Default: 3.
	BudgetMinPerSecond *float64 `json:"budget_min_per_second,omitempty"`
}

const (
	defaultBudget    = 20.0
	defaultBudgetMin = 3.0
)

func (r *Retries) validate() error {
	if r == nil {
		return nil
	}
	if or(r.Count, 0) < 0 {
		return fmt.Errorf("count is negative")
	}
	if r.InitialBackoff < 0 || r.MaxBackoff < 0 || r.MaxWait < 0 || r.MaxWaitWithFallback < 0 {
		return fmt.Errorf("a wait is negative")
	}
	if or(r.BudgetPercent, 0) < 0 || or(r.BudgetMinPerSecond, 0) < 0 {
		return fmt.Errorf("the budget is negative")
	}
	return validateClasses(r.Classes)
}

func validateClasses(classes map[string]int) error {
	for name, n := range classes {
		class, ok := retry.ParseClass(name)
		if !ok || !class.Blames() {
			return fmt.Errorf("%q is not an error class that counts against a deployment; expected one of %v", name, blamedClasses())
		}
		if n < 0 {
			return fmt.Errorf("%s is negative", name)
		}
	}
	return nil
}

// blamedClasses are the classes that a configuration may name.
func blamedClasses() []string {
	var names []string
	for c := range retry.NumClasses {
		if c.Blames() {
			names = append(names, c.String())
		}
	}
	slices.Sort(names)
	return names
}

func (r *Retries) engine() retry.Policy {
	p := retry.DefaultPolicy()
	percent, perSecond := defaultBudget, defaultBudgetMin
	if r != nil {
		p.Retries = or(r.Count, p.Retries)
		for name, n := range r.Classes {
			class, _ := retry.ParseClass(name)
			p.ClassRetries[class] = n
		}
		p.Backoff.Initial = orDuration(r.InitialBackoff, p.Backoff.Initial)
		p.Backoff.Max = orDuration(r.MaxBackoff, p.Backoff.Max)
		p.MaxWait = orDuration(r.MaxWait, p.MaxWait)
		p.MaxWaitWithFallback = orDuration(r.MaxWaitWithFallback, p.MaxWaitWithFallback)
		percent, perSecond = or(r.BudgetPercent, percent), or(r.BudgetMinPerSecond, perSecond)
	}
	p.Budget = retry.NewBudget(percent, perSecond)
	return p
}
