// Package metrics counts what happens to requests, for Prometheus. It knows no
// Caddy: the registry is a parameter.
//
// Labels come from the config alone, the names of pools and deployments, and from
// lists of the router's own. No request can add a series.
package metrics

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Metrics are the counters and histograms of a process. Caddy makes a registry
// for every config, so these are kept apart from it and registered with each
// anew: that is how they survive a reload. When nobody keeps them any longer,
// the next ones begin at 0, which Prometheus takes for a restart.
//
// A Metrics is safe for concurrent use, and so is everything that it hands out.
// All of that works as nothing on a nil receiver, for where nobody counts.
type Metrics struct {
	series series

	mu    sync.Mutex // for taking and releasing, never for counting
	pools map[string]*Pool
}

// New makes metrics that no registry knows yet.
func New() *Metrics {
	return &Metrics{series: newSeries(), pools: make(map[string]*Pool)}
}

// Register puts the metrics on a registry's page. Every handler of a config may
// do so; once is enough.
func (m *Metrics) Register(registry prometheus.Registerer) error {
	if m == nil {
		return nil
	}
	err := registry.Register(&m.series)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) && already.ExistingCollector == &m.series {
		return nil
	}
	return err
}

// Refused counts a request that came to no pool: no pool serves its model, or it
// could not be read.
func (m *Metrics) Refused(because retry.Class) {
	if m != nil {
		m.series.refused.inc(because)
	}
}
