package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Deployment counts what happens to a deployment. Its series are found once, when
// it is made; to count is a few atomic additions.
type Deployment struct {
	pool *Pool
	id   string

	requests, attempts, cooldowns           byClass
	input, output, cached, reasoning        prometheus.Counter
	cost, dropped                           prometheus.Counter
	firstTokenTime, perTokenTime, wholeTime prometheus.Observer

	uses int // guarded by Metrics.mu
}

// Tokens are those of one answer. Cached are a part of Input, Reasoning one of
// Output.
type Tokens struct{ Input, Output, Cached, Reasoning int64 }

const (
	input     = "input"
	output    = "output"
	cached    = "cached"
	reasoning = "reasoning"
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
	s := &p.metrics.series
	return &Deployment{
		pool: p, id: id,
		requests:       newByClass(s.requests, wentWell, p.name, id),
		attempts:       newByClass(s.attempts, wentWell, p.name, id),
		cooldowns:      newByClass(s.cooldowns, imposed, p.name, id),
		input:          s.tokens.WithLabelValues(p.name, id, input),
		output:         s.tokens.WithLabelValues(p.name, id, output),
		cached:         s.tokens.WithLabelValues(p.name, id, cached),
		reasoning:      s.tokens.WithLabelValues(p.name, id, reasoning),
		cost:           s.cost.WithLabelValues(p.name, id),
		dropped:        s.dropped.WithLabelValues(p.name, id),
		firstTokenTime: s.firstToken.WithLabelValues(p.name, id),
		perTokenTime:   s.perToken.WithLabelValues(p.name, id),
		wholeTime:      s.duration.WithLabelValues(p.name, id),
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
	forgetByClass(s.requests, wentWell, pool, d.id)
	forgetByClass(s.attempts, wentWell, pool, d.id)
	forgetByClass(s.cooldowns, imposed, pool, d.id)
	for _, direction := range []string{input, output, cached, reasoning} {
		s.tokens.DeleteLabelValues(pool, d.id, direction)
	}
	s.cost.DeleteLabelValues(pool, d.id)
	s.dropped.DeleteLabelValues(pool, d.id)
	for _, vector := range []*prometheus.HistogramVec{s.firstToken, s.perToken, s.duration} {
		vector.DeleteLabelValues(pool, d.id)
	}
	d.pool.forget()
}

// Attempted counts a round trip to the deployment; retry.None is a good one.
func (d *Deployment) Attempted(class retry.Class) {
	if d != nil {
		d.attempts[class].Inc()
	}
}

// Cooled counts a cooldown of the deployment; retry.None is one that no failure
// led to.
func (d *Deployment) Cooled(because retry.Class) {
	if d != nil {
		d.cooldowns[because].Inc()
	}
}

// Streamed notes how long the first content of a stream took, and each output
// token after it. What is not positive is not known, and not noted.
func (d *Deployment) Streamed(firstToken, perToken time.Duration) {
	if d == nil {
		return
	}
	if firstToken > 0 {
		d.firstTokenTime.Observe(firstToken.Seconds())
	}
	if perToken > 0 {
		d.perTokenTime.Observe(perToken.Seconds())
	}
}

// Used counts the tokens of an answer. Negative ones count for nothing.
func (d *Deployment) Used(t Tokens) {
	if d == nil {
		return
	}
	add(d.input, t.Input)
	add(d.output, t.Output)
	add(d.cached, t.Cached)
	add(d.reasoning, t.Reasoning)
}

// Cost counts what the tokens of an answer cost, in US$. What is not positive
// counts for nothing.
func (d *Deployment) Cost(dollars float64) {
	if d != nil && dollars > 0 {
		d.cost.Add(dollars)
	}
}

// Dropped counts malformed events that were taken out of a stream.
func (d *Deployment) Dropped(events int) {
	if d != nil {
		add(d.dropped, int64(events))
	}
}

// Ended counts a request that the deployment was the last to be tried for, and
// how long it took in all; retry.None is one whose client got its answer.
func (d *Deployment) Ended(class retry.Class, took time.Duration) {
	if d != nil {
		d.requests[class].Inc()
		d.wholeTime.Observe(took.Seconds())
	}
}

// Overhead notes how much of the same request's time was the router's own, for the
// deployment's pool.
func (d *Deployment) Overhead(took time.Duration) {
	if d != nil {
		d.pool.Overhead(took)
	}
}

// add leaves alone what a counter would panic at.
func add(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}
