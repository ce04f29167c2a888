package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// Live are the gauges of one config, read from it when Prometheus asks and at no
// other time. They belong to one registry, and to one config: what leaves the
// config leaves the page.
//
// Where several handlers have a pool or a deployment of the same name, its
// numbers are added up, but what they share is counted once. Of its states each
// that any of them is in is 1.
type Live struct{ read func() status.Status }

// NewLive makes the gauges of what read says. It is called on the goroutine of
// the request for the page, and of several at a time.
func NewLive(read func() status.Status) *Live { return &Live{read} }

var (
	inFlightDesc = gauge("in_flight", "Requests that the deployment is carrying.", "pool", "deployment")
	queuedDesc   = gauge("queue_depth", "Requests that wait for a deployment of the pool.", "pool")
	stateDesc    = gauge("deployment_state", "1 for the state that the deployment is in, 0 for the others.", "pool", "deployment", "state")
	redisUpDesc  = gauge("redis_up", "Whether Redis answers; not there when no Redis is configured.")
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil)
}

// Describe implements prometheus.Collector.
func (l *Live) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{inFlightDesc, queuedDesc, stateDesc, redisUpDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (l *Live) Collect(ch chan<- prometheus.Metric) {
	now := l.read()
	sums := sum(now.Pools)
	for pool, n := range sums.queued {
		ch <- prometheus.MustNewConstMetric(queuedDesc, prometheus.GaugeValue, float64(n), pool)
	}
	for name, d := range sums.deployments {
		ch <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(d.inFlight), name.pool, name.id)
		for i, s := range status.States {
			ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, d.in[i], name.pool, name.id, string(s))
		}
	}
	if now.Redis != nil {
		up := 0.0
		if now.Redis.Up {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(redisUpDesc, prometheus.GaugeValue, up)
	}
}

// sums are the numbers under one name each: a page on which a name stands twice
// is refused as a whole.
type sums struct {
	queued      map[string]int
	deployments map[deploymentName]*deploymentSum
	seen        map[any]bool // what is shared and counted already
}

type deploymentName struct{ pool, id string }

type deploymentSum struct {
	inFlight int64
	in       [len(status.States)]float64
}

func sum(pools []status.Pool) sums {
	s := sums{make(map[string]int), make(map[deploymentName]*deploymentSum), make(map[any]bool)}
	for i := range pools {
		pool := &pools[i]
		depth := s.queued[pool.Name] // so that it is there, even as 0
		if s.first(pool.Queue) {
			depth += pool.QueueDepth
		}
		s.queued[pool.Name] = depth
		for j := range pool.Deployments {
			s.add(pool.Name, &pool.Deployments[j])
		}
	}
	return s
}

func (s *sums) add(pool string, d *status.Deployment) {
	name := deploymentName{pool, d.ID}
	entry := s.deployments[name]
	if entry == nil {
		entry = new(deploymentSum)
		s.deployments[name] = entry
	}
	if s.first(d.Shared) {
		entry.inFlight += d.InFlight
	}
	if i := slices.Index(status.States[:], d.State); i >= 0 {
		entry.in[i] = 1
	}
}

// first tells whether what is shared has not been seen before. Nil is shared
// with nobody.
func (s *sums) first(shared any) bool {
	if shared == nil {
		return true
	}
	seen := s.seen[shared]
	s.seen[shared] = true
	return !seen
}
