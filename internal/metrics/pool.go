package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Pool counts what happens to the requests of a pool. Everybody who takes a
// pool of the same name gets the same one.
type Pool struct {
	metrics *Metrics
	name    string

	untried   *row
	hedged    [2]*row // lost and won
	waited    histogram
	overhead  histogram
	cache     atomic.Pointer[row] // nil where nothing is kept
	fallbacks sync.Map            // *Pool that requests move to: *row

	uses        int // guarded by metrics.mu, as is the rest
	deployments map[string]*Deployment
}

// Pool takes the counters of a pool. Release gives them back.
func (m *Metrics) Pool(name string) *Pool {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pools[name]
	if p == nil {
		p = &Pool{
			metrics: m, name: name,
			untried:     m.series.requests.with(name, noDeployment),
			hedged:      [...]*row{m.series.hedges.with(name, hedgeLost), m.series.hedges.with(name, hedgeWon)},
			waited:      histogram{vector: m.series.duration, labels: []string{name, noDeployment}},
			overhead:    histogram{vector: m.series.overhead, labels: []string{name}},
			deployments: make(map[string]*Deployment),
		}
		m.pools[name] = p
	}
	p.uses++
	return p
}

// Release gives the pool back, once. The last to do so takes its series off the
// page; what is counted after that is lost. Its deployments are released each
// for itself.
func (p *Pool) Release() {
	if p == nil {
		return
	}
	p.metrics.mu.Lock()
	defer p.metrics.mu.Unlock()
	p.uses--
	p.forget()
}

// forget takes the pool's series off the page if nobody uses the pool or one of
// its deployments. The caller holds metrics.mu.
func (p *Pool) forget() {
	if p.uses > 0 || len(p.deployments) > 0 {
		return
	}
	s := &p.metrics.series
	delete(p.metrics.pools, p.name)
	s.requests.forget(p.name, noDeployment)
	s.hedges.forget(p.name, hedgeLost)
	s.hedges.forget(p.name, hedgeWon)
	p.waited.forget()
	p.overhead.forget()
	s.cache.forget(p.name, "")
	for to := range p.fallbacks.Range {
		p.unlink(to.(*Pool))
	}
	for _, from := range p.metrics.pools {
		from.unlink(p)
	}
}

// gone tells that the pool is off the page. The caller holds metrics.mu.
func (p *Pool) gone() bool { return p.metrics.pools[p.name] != p }

// Untried counts a request that ended without one attempt, and how long it took.
func (p *Pool) Untried(because retry.Class, took time.Duration) {
	if p != nil {
		p.untried.inc(because)
		p.waited.observe(p.metrics, p.gone, took.Seconds())
	}
}

// Hedged counts a hedge, by whether the client got its answer.
func (p *Pool) Hedged(won bool) {
	switch {
	case p == nil:
	case won:
		p.hedged[1].add(0, 1)
	default:
		p.hedged[0].add(0, 1)
	}
}

// Overhead notes how much of a request's time was the router's own.
func (p *Pool) Overhead(d time.Duration) {
	if p != nil {
		p.overhead.observe(p.metrics, p.gone, max(d, 0).Seconds())
	}
}

// FallsBackTo puts the fallback on the page before the first request takes it, so
// that its first increase can be seen.
func (p *Pool) FallsBackTo(to *Pool) {
	if p != nil && to != nil {
		p.link(to)
	}
}

// FellBack counts a request that moves from this pool to another; retry.None is
// because nothing in this one could be tried.
func (p *Pool) FellBack(to *Pool, because retry.Class) {
	if p == nil || to == nil {
		return
	}
	// Not by name: a pool that is down sends every request on, and this look-up
	// takes neither a lock nor memory.
	if link, ok := p.fallbacks.Load(to); ok {
		link.(*row).inc(because)
	} else if link := p.link(to); link != nil {
		link.inc(because)
	}
}

// link makes the counters of a fallback, or finds them; nil when either pool has
// left the page.
func (p *Pool) link(to *Pool) *row {
	p.metrics.mu.Lock()
	defer p.metrics.mu.Unlock()
	if p.gone() || to.gone() {
		return nil
	}
	link, _ := p.fallbacks.LoadOrStore(to, p.metrics.series.fallbacks.with(p.name, to.name))
	return link.(*row)
}

// unlink takes the counters of a fallback off the page. The caller holds
// metrics.mu.
func (p *Pool) unlink(to *Pool) {
	if _, ok := p.fallbacks.LoadAndDelete(to); ok {
		p.metrics.series.fallbacks.forget(p.name, to.name)
	}
}
