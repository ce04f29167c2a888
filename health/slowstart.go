package health

import "time"

// rampFloor is the share of its weight with which a deployment comes back. It
// is not zero, or a deployment that nobody picks would never warm up.
const rampFloor = 0.1

// Ramp is the factor for the deployment's weight: rising evenly from 0.1 to 1
// over SlowStart after a recovery, otherwise 1. It takes no lock.
func (c *Cooldown) Ramp(now time.Time) float64 {
	if c.rampSince.Load() == unset { // as it nearly always is; this much is inlined
		return 1
	}
	return c.ramp(now)
}

func (c *Cooldown) ramp(now time.Time) float64 {
	whole, since := c.cfg.SlowStart, c.rampSince.Load()
	elapsed := time.Duration(instant(now) - since)
	if whole <= 0 || elapsed >= whole || since == unset {
		return 1
	}
	return rampFloor + (1-rampFloor)*float64(max(elapsed, 0))/float64(whole)
}
