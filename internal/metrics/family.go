package metrics

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// family is a counter whose last label has a list of values, if it has one.
// Whatever the other labels are, the counters of the whole list are on the page
// before the first is needed: one that appears with its first failure has no
// increase that an alert could see. In memory each is a number, of which
// Prometheus's metrics are made when the page is asked for: a config may have
// thousands of deployments.
type family struct {
	desc   *prometheus.Desc
	last   []string // empty where there is no such label
	others int      // how many labels there are before it, one or two
	unit   float64  // what 1 in memory is on the page

	mu   sync.Mutex // for taking, forgetting and showing, never for counting
	rows map[[2]string]*row
}

// row are the counters for the two other labels, one for each value of the last. It
// has no pointers for a garbage collection to follow.
type row struct {
	counts [retry.NumClasses]atomic.Uint64
}

func newFamily(name, help string, last []string, labels ...string) *family {
	return &family{
		desc: prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil),
		last: last, others: len(labels) - min(len(last), 1), unit: 1, rows: make(map[[2]string]*row),
	}
}

// with gives the counters for the other labels, which are made if there are none.
func (f *family) with(first, second string) *row {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := [...]string{first, second}
	r := f.rows[key]
	if r == nil {
		r = new(row)
		f.rows[key] = r
	}
	return r
}

// forget takes them off the page again.
func (f *family) forget(first, second string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rows, [...]string{first, second})
}

// Describe implements prometheus.Collector.
func (f *family) Describe(ch chan<- *prometheus.Desc) { ch <- f.desc }

// Collect implements prometheus.Collector.
func (f *family) Collect(ch chan<- prometheus.Metric) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, r := range f.rows {
		for i := range max(len(f.last), 1) {
			labels := key[:f.others:f.others]
			if len(f.last) > 0 {
				labels = append(labels, f.last[i])
			}
			ch <- prometheus.MustNewConstMetric(f.desc, prometheus.CounterValue, float64(r.counts[i].Load())*f.unit, labels...)
		}
	}
}

// inc counts one of a class.
func (r *row) inc(class retry.Class) { r.counts[class].Add(1) }

// add counts so many of the value at a place of the list. What is not positive
// counts for nothing.
func (r *row) add(place int, n int64) {
	if n > 0 {
		r.counts[place].Add(uint64(n))
	}
}

// classes are the names of all classes, with what retry.None is called.
func classes(none string) []string {
	names := make([]string, retry.NumClasses)
	for class := range retry.NumClasses {
		names[class] = class.String()
	}
	names[retry.None] = none
	return names
}
