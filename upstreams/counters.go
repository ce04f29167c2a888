package upstreams

import (
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// counted are the metrics of a pool or a deployment. They stay when they are given
// back: a request of the config before may still be on its way, and counts as long
// as another config has its pool.
type counted[M interface{ Release() }] struct {
	metrics M
	taken   bool
}

func (c *counted[M]) release() {
	if c.taken {
		c.taken = false
		c.metrics.Release()
	}
}

// CountIn takes the counters of the pool and its deployments, until Cleanup. It
// comes after Provision, once.
func (p *Pool) CountIn(m *metrics.Metrics) {
	p.counters = counted[*metrics.Pool]{m.Pool(p.Name), true}
	if p.answers != nil {
		p.counters.metrics.Caches()
	}
	for _, d := range p.Deployments {
		d.counters = counted[*metrics.Deployment]{p.counters.metrics.Deployment(d.ID), true}
		if p.engine.Sessions != nil {
			d.Counters().KeepsSessions()
		}
	}
}

// CountersOf are the metrics of a pool that the engine works with.
func CountersOf(p *engine.Pool) *metrics.Pool { return p.Upstream.(*Pool).counters.metrics }

// DeploymentOf is the deployment that a candidate stands for.
func DeploymentOf(c *selection.Candidate) *Deployment { return c.Upstream.(*Deployment) }

// Counters are the deployment's metrics.
func (d *Deployment) Counters() *metrics.Deployment { return d.counters.metrics }
