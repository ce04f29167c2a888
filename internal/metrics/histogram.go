package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// histogram is made with its first observation: that of a deployment that nobody
// asks would be the largest part of what it costs.
type histogram struct {
	vector *prometheus.HistogramVec
	labels []string
	made   atomic.Pointer[prometheus.Observer]
}

// observe takes a value in. Where the histogram has yet to be made, it is unless
// gone says that it has left the page; gone is asked with the lock of m.
func (h *histogram) observe(m *Metrics, gone func() bool, value float64) {
	made := h.made.Load()
	if made == nil {
		if made = h.make(m, gone); made == nil {
			return
		}
	}
	(*made).Observe(value)
}

func (h *histogram) make(m *Metrics, gone func() bool) *prometheus.Observer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if gone() {
		return nil
	}
	made := h.vector.WithLabelValues(h.labels...)
	h.made.Store(&made)
	return &made
}

// forget takes it off the page. The caller holds the lock of the Metrics.
func (h *histogram) forget() { h.vector.DeleteLabelValues(h.labels...) }
