package metrics

import "github.com/llmrouter/caddy-llm-router/internal/affinity"

// affinityResults are the names of what affinity does for a request, in their places.
func affinityResults() (names []string) {
	for _, r := range affinity.Results() {
		names = append(names, r.String())
	}
	return names
}

// KeepsSessions puts the counters of sessions on the page. A deployment of a pool
// that keeps none is without.
func (d *Deployment) KeepsSessions() {
	if d == nil {
		return
	}
	d.pool.metrics.mu.Lock()
	defer d.pool.metrics.mu.Unlock()
	if !d.gone() {
		d.affinity.Store(d.pool.metrics.series.affinity.with(d.pool.name, d.id))
	}
}

// Affinity counts an answer by what became of its session.
func (d *Deployment) Affinity(r affinity.Result) {
	if d == nil || r == affinity.Off {
		return
	}
	if counters := d.affinity.Load(); counters != nil {
		counters.add(int(r-affinity.Hit), 1)
	}
}
