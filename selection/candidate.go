// Package selection chooses the deployment that serves a request: filters that
// say why a deployment is out, order tiers, and the strategies that pick among
// what is left. It knows no transport and no configuration format.
package selection

import (
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
)

// Candidate is a deployment as selection sees it. The plain fields are set
// before the first request and do not change; the rest is safe for concurrent
// use. A Candidate must not be copied.
type Candidate struct {
	// ID names the deployment within its pool.
	ID string
	// Order is the priority tier; the lowest order with a usable candidate serves.
	Order int
	// Weight, RPM and TPM are the shares that weighted strategies use, in that
	// order of preference. Zero is "no share".
	Weight, RPM, TPM float64
	// MaxParallel is how many requests may be in flight; 0 is no limit.
	MaxParallel int64
	// ContextWindow is the model's window in tokens; 0 is unknown.
	ContextWindow int
	// Tags are the kinds of requests that the deployment is for.
	Tags []string
	// Teams are the teams that may use the deployment; none means everyone.
	Teams []string

	// Cooldown leaves the deployment out because of its own failures.
	Cooldown *health.Cooldown
	// Limiter counts requests and tokens per minute; nil is no limit.
	Limiter *Limiter
	// Healthy is the verdict of active health checks; nil is always healthy.
	Healthy func() bool

	// Limits are the deployment's own timeouts.
	Limits Timeouts

	// Upstream is what the candidate stands for, for the caller's own use.
	Upstream any

	inFlight atomic.Int64
	failures atomic.Int32 // since the last good answer
	failedAt atomic.Int64 // when the latest was, in Unix nanoseconds
}

// InFlight is the number of requests that the deployment is carrying.
func (c *Candidate) InFlight() int64 { return c.inFlight.Load() }

// Acquire takes a place among the requests in flight; false when all are
// taken. Every success must be followed by one Release.
func (c *Candidate) Acquire() bool {
	if c.MaxParallel <= 0 {
		c.inFlight.Add(1)
		return true
	}
	// Counting first and looking then would for a moment refuse others a place
	// that nobody takes.
	for {
		n := c.inFlight.Load()
		if n >= c.MaxParallel {
			return false
		}
		if c.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives the place back.
func (c *Candidate) Release() { c.inFlight.Add(-1) }

// failingAfter failures in a row, the latest no longer ago than failingFor, make
// a deployment a poor place to fail over to.
const (
	failingAfter = 5
	failingFor   = 10 * time.Second
)

// Answered notes a good answer, or the begin of one.
func (c *Candidate) Answered() {
	if c.failures.Load() != 0 {
		c.failures.Store(0)
	}
}

// Failed notes a failure of the deployment's own.
func (c *Candidate) Failed(now time.Time) {
	c.failedAt.Store(now.UnixNano())
	c.failures.Add(1)
}

// Failing reports whether the deployment has lately done nothing but fail. It
// says so long before the rates of a cooldown do where much went well before.
func (c *Candidate) Failing(now time.Time) bool {
	return c.failures.Load() >= failingAfter && now.UnixNano()-c.failedAt.Load() < int64(failingFor)
}

// healthy is the verdict of active health checks.
func (c *Candidate) healthy() bool { return c.Healthy == nil || c.Healthy() }

// Strategy picks one of the usable candidates, which are of one order and
// never empty. Pick must be safe for concurrent use and must not keep usable.
type Strategy interface {
	Pick(now time.Time, usable []*Candidate) *Candidate
}
