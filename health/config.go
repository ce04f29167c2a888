package health

import (
	"math"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Config says when failures cool a deployment and for how long. Zero is not
// the default of every field (an AllowedFails of 0 forgives nothing), so start
// from DefaultConfig.
type Config struct {
	// Off turns cooldowns off: no failure and no order from outside cools.
	Off bool

	// Duration is the length of a cooldown whose cause states no wait.
	// Default: 5s, also for a value that is not positive.
	Duration time.Duration

	// Window is how far back outcomes are counted. It slides in twelve steps.
	// Default: 1m, also for a value that is not positive.
	Window time.Duration

	// FailureRate is the share of failed requests in the window that is still
	// tolerated: strictly more cools. Only connection, timeout, overloaded and
	// server_error count as failures here, and only these and successes as
	// requests. 1 or more never cools. Default: 0.5.
	FailureRate float64

	// MinRequests is how many requests the window must hold before
	// FailureRate is looked at. Default: 5.
	MinRequests int

	// AllowedFails, if not negative, replaces FailureRate and MinRequests:
	// more failures than this in the window cool. Default: -1.
	AllowedFails int

	// ClassAllowed, where not negative, is the same for one class. That class
	// is then judged by its own count alone: it is no part of FailureRate and
	// AllowedFails, and where it would cool at once it no longer does, not
	// even for a stated wait; the wait is kept once the count is exceeded.
	// Classes that do not blame the deployment never cool, whatever stands
	// here. Default: -1 each.
	ClassAllowed [retry.NumClasses]int

	// Max is the longest wait stated by an upstream that is believed, and the
	// cooldown of a deployment without quota.
	// Default: 5m, also for a value that is not positive.
	Max time.Duration

	// Growth is the factor by which a failed probe lengthens the cooldown.
	// Default: 2. Below 1 is 1.
	Growth float64

	// GrowthMax bounds what Growth leads to, but not below Duration.
	// Default: 30s.
	GrowthMax time.Duration

	// SlowStart is the time over which the weight of a recovered deployment
	// rises to its full value. Default: 0, at once.
	SlowStart time.Duration

	// ProbeTimeout is the time after which a probe that has told nothing
	// gives its slot to another request. A probe that ends later has no say.
	// Default: 2m, also for a value that is not positive.
	ProbeTimeout time.Duration
}

// DefaultConfig is a new configuration with the default of every field.
func DefaultConfig() *Config {
	cfg := &Config{
		Duration:     5 * time.Second,
		Window:       time.Minute,
		FailureRate:  0.5,
		MinRequests:  5,
		AllowedFails: -1,
		Max:          5 * time.Minute,
		Growth:       2,
		GrowthMax:    30 * time.Second,
		ProbeTimeout: 2 * time.Minute,
	}
	for class := range cfg.ClassAllowed {
		cfg.ClassAllowed[class] = -1
	}
	return cfg
}

// normalized is a copy of cfg, which may be nil, in which every field can be
// used without another look. The copy is never written again, so readers need
// no lock.
func (cfg *Config) normalized() *Config {
	defaults := DefaultConfig()
	if cfg == nil {
		return defaults
	}
	n := *cfg
	positive(&n.Duration, defaults.Duration)
	positive(&n.Window, defaults.Window)
	positive(&n.Max, defaults.Max)
	positive(&n.ProbeTimeout, defaults.ProbeTimeout)
	if math.IsNaN(n.Growth) {
		n.Growth = 1
	}
	n.Growth = max(n.Growth, 1)
	n.GrowthMax = max(n.GrowthMax, n.Duration)
	return &n
}

func positive(d *time.Duration, otherwise time.Duration) {
	if *d <= 0 {
		*d = otherwise
	}
}
