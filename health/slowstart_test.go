package health

import (
	"math"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestRampRisesEvenly(t *testing.T) {
	c := cooled(config(func(c *Config) { c.SlowStart = 10 * time.Second }), 5*time.Second)
	if got := c.Ramp(t0); got != 1 {
		t.Errorf("before recovery: got %v, want 1", got)
	}
	probe := begin(t, c, t0)
	probe.Succeed(t0)
	for _, tt := range []struct {
		after time.Duration
		want  float64
	}{
		{-time.Second, 0.1},
		{0, 0.1},
		{time.Second, 0.19},
		{5 * time.Second, 0.55},
		{9 * time.Second, 0.91},
		{10 * time.Second, 1},
		{time.Hour, 1},
	} {
		if got := c.Ramp(t0.Add(tt.after)); math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("after %v: got %v, want %v", tt.after, got, tt.want)
		}
	}
	now := t0.Add(5 * time.Second)
	fail(c, now, retry.Auth)
	if got := c.Ramp(now); got != 1 {
		t.Errorf("cooled in the middle: got %v, want 1", got)
	}
}

func TestRampIsOffByDefault(t *testing.T) {
	for _, slowStart := range []time.Duration{0, -time.Hour} {
		c := cooled(config(func(c *Config) { c.SlowStart = slowStart }), 5*time.Second)
		probe := begin(t, c, t0)
		probe.Succeed(t0)
		for _, after := range []time.Duration{-2 * time.Hour, -1, 0, 1, time.Hour} {
			if got := c.Ramp(t0.Add(after)); got != 1 {
				t.Errorf("slow start %v, after %v: got %v, want 1", slowStart, after, got)
			}
		}
	}
}

func TestRampFollowsEveryWayOfRecovery(t *testing.T) {
	for name, recover := range map[string]func(*Cooldown) bool{
		"success": func(c *Cooldown) bool { p, _ := c.Begin(t0); return p.Succeed(t0) },
		"the begin of an answer": func(c *Cooldown) bool {
			p, _ := c.Begin(t0)
			return p.Answered(t0)
		},
		"a bad request": func(c *Cooldown) bool {
			p, _ := c.Begin(t0)
			return p.Fail(t0, Failure{Class: retry.BadRequest}).Recovered
		},
		"an order from outside": func(c *Cooldown) bool { return c.Restore(t0) },
	} {
		t.Run(name, func(t *testing.T) {
			c := cooled(config(func(c *Config) { c.SlowStart = time.Minute }), 5*time.Second)
			if !recover(c) {
				t.Error("not reported")
			}
			if got := c.Ramp(t0); got != 0.1 {
				t.Errorf("got %v, want 0.1", got)
			}
		})
	}
	t.Run("but not when cooldowns are turned off", func(t *testing.T) {
		c := cooled(nil, 5*time.Second)
		c = c.Under(config(func(c *Config) { c.Off, c.SlowStart = true, time.Minute }))
		if got := c.Ramp(t0); got != 1 {
			t.Errorf("got %v, want 1", got)
		}
	})
}
