package llmrouter

import (
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// counters holds the one Metrics of the process from one config to the next, as
// long as a config has the app: a counter that began anew with each reload would
// look like a restart.
var counters = caddy.NewUsagePool()

const countersKey = "metrics"

// pooledMetrics is the entry of counters.
type pooledMetrics struct{ *metrics.Metrics }

// Destruct implements caddy.Destructor.
func (pooledMetrics) Destruct() error { return nil }

// heldMetrics is the entry of counters while a config holds it.
type heldMetrics struct {
	*metrics.Metrics
	taken bool
}

// take gets hold of the process's metrics.
func (h *heldMetrics) take() error {
	entry, _, err := counters.LoadOrNew(countersKey, func() (caddy.Destructor, error) {
		return pooledMetrics{metrics.New()}, nil
	})
	if err != nil {
		return err
	}
	*h = heldMetrics{entry.(pooledMetrics).Metrics, true}
	return nil
}

// release lets go of what take got, if it got anything. It can still be counted
// in: requests may outlive their config.
func (h *heldMetrics) release() error {
	if !h.taken {
		return nil
	}
	h.taken = false
	_, err := counters.Delete(countersKey)
	return err
}

// provisionMetrics puts the process's counters and this config's gauges on the
// page of the config.
func (a *App) provisionMetrics(ctx caddy.Context) error {
	if err := a.metrics.take(); err != nil {
		return err
	}
	registry := ctx.GetMetricsRegistry()
	if err := a.metrics.Register(registry); err != nil {
		return err
	}
	return registry.Register(metrics.NewLive(func() status.Status { return a.Status(time.Now()) }))
}
