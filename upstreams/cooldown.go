package upstreams

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// Cooldown says when a deployment is left out of selection because of its own
// failures, and for how long. Rate limits, used-up quotas, refused keys and
// unknown models cool a deployment at once; timeouts, refused connections,
// overload and server errors count.
type Cooldown struct {
	// Never cool a deployment. Default: false.
	Off bool `json:"off,omitempty"`

	// How long a deployment is left out when the cause states no wait.
	// Default: `5s`.
	Duration caddy.Duration `json:"duration,omitempty"`

	// A deployment is cooled when more than this percentage of its requests in
	// the window failed. Default: 50.
	FailureRate *float64 `json:"failure_rate,omitempty"`

	// The rate is not judged below this many requests in the window. Default: 5.
	MinRequests *int `json:"min_requests,omitempty"`

	// The sliding window that failures are counted in. Default: `1m`.
	Window caddy.Duration `json:"window,omitempty"`

	// Instead of the rate: more failures than this in the window cool the
	// deployment. Default: not set.
	AllowedFails *int `json:"allowed_fails,omitempty"`

	// The same for single error classes; such a class then does not cool at
	// once, and its failures count by themselves.
	Classes map[string]int `json:"classes,omitempty"`

	// The longest wait that an upstream may ask for, in whatever way it does, and
	// the cooldown of a deployment whose quota is used up. Default: `5m`.
	Max caddy.Duration `json:"max,omitempty"`

	// A failure of the first request after a cooldown makes the next cooldown
	// longer by this factor. Default: 2.
	Growth *float64 `json:"growth,omitempty"`

	// The longest cooldown that growth leads to. Default: `30s`.
	GrowthMax caddy.Duration `json:"growth_max,omitempty"`

	// The share of an order's deployments, in percent, that counts and rates may
	// cool at the same time; one always may. Rate limits, quota and refused keys
	// are not bounded by it. Default: 100.
	MaxEjected *float64 `json:"max_ejected,omitempty"`
}

func (c *Cooldown) validate() error {
	if c == nil {
		return nil
	}
	if c.Duration < 0 || c.Window < 0 || c.Max < 0 || c.GrowthMax < 0 {
		return fmt.Errorf("a duration is negative")
	}
	for name, percent := range map[string]*float64{"failure_rate": c.FailureRate, "max_ejected": c.MaxEjected} {
		if percent != nil && (*percent < 0 || *percent > 100) {
			return fmt.Errorf("%s is %v; expected a percentage from 0 to 100", name, *percent)
		}
	}
	if or(c.Growth, 1) < 1 {
		return fmt.Errorf("growth is below 1")
	}
	if or(c.MinRequests, 0) < 0 || or(c.AllowedFails, 0) < 0 {
		return fmt.Errorf("a count is negative")
	}
	return validateClasses(c.Classes)
}

func (c *Cooldown) engine(slowStart caddy.Duration) *health.Config {
	cfg := health.DefaultConfig()
	cfg.SlowStart = time.Duration(slowStart)
	if c == nil {
		return cfg
	}
	cfg.Off = c.Off
	cfg.Duration = orDuration(c.Duration, cfg.Duration)
	cfg.FailureRate = or(c.FailureRate, cfg.FailureRate*100) / 100
	cfg.MinRequests = or(c.MinRequests, cfg.MinRequests)
	cfg.Window = orDuration(c.Window, cfg.Window)
	cfg.AllowedFails = or(c.AllowedFails, cfg.AllowedFails)
	for name, n := range c.Classes {
		class, _ := retry.ParseClass(name)
		cfg.ClassAllowed[class] = n
	}
	cfg.Max = orDuration(c.Max, cfg.Max)
	cfg.Growth = or(c.Growth, cfg.Growth)
	cfg.GrowthMax = orDuration(c.GrowthMax, cfg.GrowthMax)
	return cfg
}
