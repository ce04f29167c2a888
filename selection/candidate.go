// Package selection chooses the deployment that serves a request: filters that
// say why a deployment is out, order tiers, and the strategies that pick among
// what is left. It knows no transport and no configuration format.
package selection

import "github.com/llmrouter/caddy-llm-router/health"

// Candidate is a deployment as selection sees it. The plain fields are set
// before the first request and do not change; the rest is safe for concurrent
// use. A Candidate must not be copied.
type Candidate struct {
	// What every request looks at comes first, and so lies side by side.

	// State is what is known of the deployment. It outlives the Candidate.
	*State
	// Cooldown leaves the deployment out because of its own failures, over the
	// State's Record.
	Cooldown *health.Cooldown
	// Limiter bounds requests and tokens per minute, over the State's Minute; nil
	// is no limit.
	Limiter *Limiter
	// Healthy is the verdict of active health checks; nil is always healthy.
	Healthy func() bool
	// Order is the priority tier; the lowest order with a usable candidate serves.
	Order int
	// MaxParallel is how many requests may be in flight; 0 is no limit.
	MaxParallel int64
	// Upstream is what the candidate stands for, for the caller's own use.
	Upstream any
	// Limits are the deployment's own timeouts.
	Limits Timeouts
	// Others hear of what becomes of the cooldown; nil is nobody.
	Others Others
	// Price is what tokens cost; nil is unknown.
	Price *Price
	// ContextWindow is how many tokens a prompt and its answer may have together,
	// MaxInput and MaxOutput how many each may have by itself; 0 is unknown.
	ContextWindow, MaxInput, MaxOutput int
	// Weight, RPM and TPM are the shares that strategies use, in that order of
	// preference. Zero is "no share".
	Weight, RPM, TPM float64

	// ID names the deployment within its pool.
	ID string
	// Tokenizer counts prompts that may be too long; nil is that they are not
	// looked at before they are sent.
	Tokenizer Tokenizer
	// Region is where the deployment is; empty is unknown.
	Region string
	// Tags are the kinds of requests that the deployment is for.
	Tags []string
	// Teams are the teams that may use the deployment; none means everyone.
	Teams []string
}

// NewCandidate makes a candidate of a deployment in the state that it is in, with
// the default cooldown and no limits.
func NewCandidate(id string, state *State) *Candidate {
	return &Candidate{ID: id, Order: 1, State: state, Cooldown: state.Record.Under(nil)}
}

// Acquire takes a place among the requests in flight; false when all are
// taken. Every success must be followed by one Release.
func (c *Candidate) Acquire() bool { return c.State.acquire(c.MaxParallel) }

// Release gives the place back, and tells those who wait for one.
func (c *Candidate) Release() { c.State.release() }

// Abandon gives a place back that was not used, and tells nobody: nothing has
// become free that was not before.
func (c *Candidate) Abandon() { c.inFlight.Add(-1) }

// healthy is the verdict of active health checks.
func (c *Candidate) healthy() bool { return c.Healthy == nil || c.Healthy() }
