package health

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// sentence tells for how long a failure cools from now on, zero for not at
// all. It counts the failure and frees a failed probe's slot. The caller holds
// mu.
func (c *Cooldown) sentence(t *Ticket, now time.Time, f Failure) time.Duration {
	cfg, spell := c.cfg, c.spell.Load()
	switch {
	case !t.speaks(spell):
		return cfg.late(f, good(spell))
	case t.probe:
		c.vacate()
		return cfg.afterProbe(f, c.length)
	}
	win := c.window()
	win.Add(now, f.Class)
	return cfg.judge(f, win.Counts(now))
}

// late judges a failure of an attempt that does not speak for the present.
// What it suffered may be over, but a stated wait looks ahead.
func (cfg *Config) late(f Failure, usable bool) time.Duration {
	if cfg.Off || usable && cfg.ClassAllowed[f.Class] >= 0 {
		return 0
	}
	return cfg.stated(f)
}

// judge judges a failure in a good spell, itself among the counts.
func (cfg *Config) judge(f Failure, counts Counts) time.Duration {
	if cfg.Off {
		return 0
	}
	stated, exceeded := cfg.stated(f), cfg.exceeded(f.Class, counts)
	switch {
	case !exceeded && cfg.ClassAllowed[f.Class] >= 0:
		return 0
	case !exceeded:
		return stated
	case f.Class == retry.RateLimit && stated > 0:
		return stated // the upstream knows better than the configuration
	}
	return cfg.longer(f, stated, cfg.Duration)
}

// afterProbe judges the failure of a probe, after a cooldown of length last.
// Every failure of a probe lengthens, whatever the counts.
func (cfg *Config) afterProbe(f Failure, last time.Duration) time.Duration {
	grown := float64(last) * cfg.Growth
	if limit := float64(cfg.GrowthMax); grown > limit {
		grown = limit
	}
	return cfg.longer(f, cfg.stated(f), max(cfg.Duration, time.Duration(grown)))
}

// longer is the longer of the stated wait and what the configuration gives the
// class, base but for quota. The latter needs a spare deployment unless the
// class leaves no hope.
func (cfg *Config) longer(f Failure, stated, base time.Duration) time.Duration {
	switch f.Class {
	case retry.Quota:
		return max(stated, base, cfg.Max)
	case retry.Auth, retry.NotFound:
		return max(stated, base)
	}
	if base > stated && (f.Spare == nil || f.Spare()) {
		return base
	}
	return stated
}

// stated is the wait that the upstream asked for as far as it is believed,
// zero for none.
func (cfg *Config) stated(f Failure) time.Duration {
	if !f.Stated {
		return 0
	}
	return min(max(f.Wait, 0), cfg.Max)
}

// exceeded reports whether a failure of the class is one too many.
func (cfg *Config) exceeded(class retry.Class, counts Counts) bool {
	if n := cfg.ClassAllowed[class]; n >= 0 {
		return counts.Failures[class] > n
	}
	if !countable(class) {
		return true
	}
	failed := 0
	for other, n := range counts.Failures {
		if countable(retry.Class(other)) && cfg.ClassAllowed[other] < 0 {
			failed += n
		}
	}
	if cfg.AllowedFails >= 0 {
		return failed > cfg.AllowedFails
	}
	// Division rounds once, so that a share of exactly the limit compares
	// equal to it; limit times requests can come out just below.
	requests := counts.Successes + failed
	return requests >= cfg.MinRequests && float64(failed)/float64(requests) > cfg.FailureRate
}

// countable reports whether one failure of the class says little, so that it
// takes several to cool.
func countable(class retry.Class) bool {
	switch class {
	case retry.Connection, retry.Timeout, retry.Overloaded, retry.ServerError:
		return true
	}
	return false
}
