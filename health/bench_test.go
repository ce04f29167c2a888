package health

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func BenchmarkUsable(b *testing.B) {
	now := time.Now()
	cooling := New(nil)
	cooling.Cool(now, retry.Auth, time.Hour)
	for name, c := range map[string]*Cooldown{"good": New(nil), "cooling": cooling} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Usable(now)
			}
		})
	}
}

func BenchmarkRamp(b *testing.B) {
	now := time.Now()
	c := New(config(func(c *Config) { c.SlowStart = time.Hour }))
	c.Cool(now, retry.Auth, time.Second)
	c.Restore(now)
	b.ReportAllocs()
	for b.Loop() {
		c.Ramp(now)
	}
}

func BenchmarkBeginSucceed(b *testing.B) {
	now := time.Now()
	b.Run("serial", func(b *testing.B) {
		c := New(nil)
		b.ReportAllocs()
		for b.Loop() {
			ticket, _ := c.Begin(now)
			ticket.Succeed(now)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		c := New(nil)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ticket, _ := c.Begin(now)
				ticket.Succeed(now)
			}
		})
	})
}

func BenchmarkFail(b *testing.B) {
	now := time.Now()
	c := New(config(func(c *Config) { c.FailureRate = 1 }))
	b.ReportAllocs()
	for b.Loop() {
		ticket, _ := c.Begin(now)
		ticket.Fail(now, Failure{Class: retry.ServerError})
	}
}
