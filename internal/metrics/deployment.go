package metrics

import (
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Deployment counts what happens to a deployment. Its series are found once, when
// it is made; to count is a few atomic additions.
type Deployment struct {
	pool *Pool
	id   string

	requests, attempts, cooldowns, tokens, cost, dropped *row

	firstTokenTime, perTokenTime, wholeTime histogram

	affinity atomic.Pointer[row] // nil until sessions are kept

	uses int // guarded by Metrics.mu
}

// Tokens are those of one answer. Cached are a part of Input, Reasoning one of
// Output.
type Tokens struct{ Input, Output, Cached, Reasoning int64 }

// directions are the names of the fields of Tokens, in their places.
var directions = [...]string{input: "input", output: "output", cached: "cached", reasoning: "reasoning"}

const (
	input = iota
	output
	cached
	reasoning
)

// Deployment takes the counters of one of the pool's deployments. Release gives
// them back.
func (p *Pool) Deployment(id string) *Deployment {
	if p == nil {
		return nil
	}
	p.metrics.mu.Lock()
	defer p.metrics.mu.Unlock()
	d := p.deployments[id]
	if d == nil {
		d = newDeployment(p, id)
		p.deployments[id] = d
	}
	d.uses++
	return d
}

func newDeployment(p *Pool, id string) *Deployment {
	s, labels := &p.metrics.series, []string{p.name, id}
	return &Deployment{
		pool: p, id: id,
		requests:       s.requests.with(p.name, id),
		attempts:       s.attempts.with(p.name, id),
		cooldowns:      s.cooldowns.with(p.name, id),
		tokens:         s.tokens.with(p.name, id),
		cost:           s.cost.with(p.name, id),
		dropped:        s.dropped.with(p.name, id),
		firstTokenTime: histogram{vector: s.firstToken, labels: labels},
		perTokenTime:   histogram{vector: s.perToken, labels: labels},
		wholeTime:      histogram{vector: s.duration, labels: labels},
	}
}

// Release gives the deployment back, once. The last to do so takes its series
// off the page; what is counted after that is lost.
func (d *Deployment) Release() {
	if d == nil {
		return
	}
	d.pool.metrics.mu.Lock()
	defer d.pool.metrics.mu.Unlock()
	d.uses--
	if d.uses > 0 {
		return
	}
	delete(d.pool.deployments, d.id)
	s, pool := &d.pool.metrics.series, d.pool.name
	for _, f := range []*family{s.requests, s.attempts, s.cooldowns, s.tokens, s.cost, s.dropped, s.affinity} {
		f.forget(pool, d.id)
	}
	for _, h := range []*histogram{&d.firstTokenTime, &d.perTokenTime, &d.wholeTime} {
		h.forget()
	}
	d.pool.forget()
}

// Attempted counts a round trip to the deployment; retry.None is a good one.
func (d *Deployment) Attempted(class retry.Class) {
	if d != nil {
		d.attempts.inc(class)
	}
}

// Cooled counts a cooldown of the deployment; retry.None is one that no failure
// led to.
func (d *Deployment) Cooled(because retry.Class) {
	if d != nil {
		d.cooldowns.inc(because)
	}
}

// Streamed notes how long the first content of a stream took, and each output
// token after it. What is not positive is not known, and not noted.
func (d *Deployment) Streamed(firstToken, perToken time.Duration) {
	if d == nil {
		return
	}
	if firstToken > 0 {
		d.observe(&d.firstTokenTime, firstToken)
	}
	if perToken > 0 {
		d.observe(&d.perTokenTime, perToken)
	}
}

// Used counts the tokens of an answer. Negative ones count for nothing.
func (d *Deployment) Used(t Tokens) {
	if d == nil {
		return
	}
	d.tokens.add(input, t.Input)
	d.tokens.add(output, t.Output)
	d.tokens.add(cached, t.Cached)
	d.tokens.add(reasoning, t.Reasoning)
}

// mostCost bounds the cost of one answer, so that nobody's price overflows a counter.
const mostCost = 1e6 * 1e12

// Cost counts what the tokens of an answer cost, in US$. What is not positive
// counts for nothing.
func (d *Deployment) Cost(dollars float64) {
	if d != nil && dollars > 0 {
		d.cost.add(0, int64(min(dollars/d.pool.metrics.series.cost.unit, mostCost)+0.5))
	}
}

// Dropped counts malformed events that were taken out of a stream.
func (d *Deployment) Dropped(events int) {
	if d != nil {
		d.dropped.add(0, int64(events))
	}
}

// Ended counts a request that the deployment was the last to be tried for, and
// how long it took in all; retry.None is one whose client got its answer.
func (d *Deployment) Ended(class retry.Class, took time.Duration) {
	if d != nil {
		d.requests.inc(class)
		d.observe(&d.wholeTime, took)
	}
}

// Overhead notes how much of the same request's time was the router's own, for the
// deployment's pool.
func (d *Deployment) Overhead(took time.Duration) {
	if d != nil {
		d.pool.Overhead(took)
	}
}

func (d *Deployment) observe(h *histogram, took time.Duration) {
	h.observe(d.pool.metrics, d.gone, took.Seconds())
}

// gone tells that the deployment is off the page. The caller holds the lock of the
// Metrics.
func (d *Deployment) gone() bool { return d.pool.deployments[d.id] != d }
