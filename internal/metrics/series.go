package metrics

import (
	"iter"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmrouter/caddy-llm-router/retry"
)

const (
	namespace = "caddy"
	subsystem = "llm_router"

	// What retry.None is called: a request or an attempt that ended well, a fallback
	// because nothing in the pool could be tried, a cooldown that somebody asked
	// for. All other classes have their own names.
	wentWell    = "ok"
	unavailable = "unavailable"
	imposed     = "imposed"

	// noPool stands for the pool of requests that came to none, as it stands for
	// unknown hosts in Caddy's own metrics.
	noPool = "_other"
	// noDeployment stands for the deployment of requests that came to none.
	// Prometheus takes an empty label for one that is not there.
	noDeployment = ""
)

// series are the vectors of all counters and histograms, on the page together.
type series struct {
	requests, attempts, fallbacks, cooldowns, tokens, cost, dropped *prometheus.CounterVec
	firstToken, perToken, duration, overhead                        *prometheus.HistogramVec

	refused byClass
}

// Upper bounds in seconds. Answers of language models take from milliseconds, of
// a small model near by, to minutes.
var (
	firstTokenBuckets = []float64{.01, .025, .05, .1, .15, .2, .3, .5, .75, 1, 1.5, 2.5, 5, 10, 20, 30, 60}
	perTokenBuckets   = []float64{.001, .0025, .005, .0075, .01, .015, .02, .03, .05, .075, .1, .2, .5, 1}
	durationBuckets   = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}
	overheadBuckets   = []float64{10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 100e-3}
)

func newSeries() series {
	s := series{
		requests: counters("requests_total",
			"Requests by how they ended: ok, or the error class. The deployment is the last one tried, and empty when none was.",
			"pool", "deployment", "outcome"),
		attempts: counters("attempts_total",
			"Round trips to deployments by how they ended: ok, or the error class.",
			"pool", "deployment", "class"),
		fallbacks: counters("fallbacks_total",
			"Moves of requests to another pool, by the error class that led to them, or unavailable when nothing could be tried.",
			"from", "to", "reason"),
		cooldowns: counters("cooldowns_total",
			"Cooldowns of deployments, by the error class that led to them, or imposed.",
			"pool", "deployment", "class"),
		tokens: counters("tokens_total",
			"Tokens of answers. Those of direction cached are among input, those of reasoning among output.",
			"pool", "deployment", "direction"),
		cost: counters("cost_dollars_total",
			"What the tokens of answers cost in US$, reported and estimated ones; 0 where the deployment has no price.",
			"pool", "deployment"),
		dropped: counters("dropped_events_total",
			"Malformed events that were taken out of streams.",
			"pool", "deployment"),
		firstToken: histograms("time_to_first_token_seconds",
			"Time from the start of the attempt to the first content of its stream.",
			firstTokenBuckets, "pool", "deployment"),
		perToken: histograms("time_per_output_token_seconds",
			"Time per output token after the first content of a stream, averaged over the stream.",
			perTokenBuckets, "pool", "deployment"),
		duration: histograms("request_duration_seconds",
			"Time of the whole request, all attempts and waits included. The deployment is the last one tried, and empty when none was.",
			durationBuckets, "pool", "deployment"),
		overhead: histograms("overhead_seconds",
			"Time of the request that was the router's own: neither round trips nor waits.",
			overheadBuckets, "pool"),
	}
	s.refused = newByClass(s.requests, wentWell, noPool, noDeployment)
	return s
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
	}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets,
	}, labels)
}

// all are the vectors as they are registered.
func (s *series) all() [11]prometheus.Collector {
	return [...]prometheus.Collector{
		s.requests, s.attempts, s.fallbacks, s.cooldowns, s.tokens, s.cost, s.dropped,
		s.firstToken, s.perToken, s.duration, s.overhead,
	}
}

// Describe implements prometheus.Collector.
func (s *series) Describe(ch chan<- *prometheus.Desc) {
	for _, vector := range s.all() {
		vector.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (s *series) Collect(ch chan<- prometheus.Metric) {
	for _, vector := range s.all() {
		vector.Collect(ch)
	}
}

// byClass are the counters of one deployment, or one pair of pools, for every
// class. They are all made before the first is needed: a counter that appears
// with its first failure has no increase that an alert could see.
type byClass [retry.NumClasses]prometheus.Counter

// newByClass makes the counters of a vector whose last label is the class, or
// what retry.None is called.
func newByClass(vector *prometheus.CounterVec, none string, labels ...string) (counters byClass) {
	for class, labels := range everyClass(none, labels) {
		counters[class] = vector.WithLabelValues(labels...)
	}
	return counters
}

// forgetByClass takes them off the page again.
func forgetByClass(vector *prometheus.CounterVec, none string, labels ...string) {
	for _, labels := range everyClass(none, labels) {
		vector.DeleteLabelValues(labels...)
	}
}

// everyClass goes through the classes, with the labels of each.
func everyClass(none string, labels []string) iter.Seq2[retry.Class, []string] {
	return func(yield func(retry.Class, []string) bool) {
		for class := range retry.NumClasses {
			name := class.String()
			if class == retry.None {
				name = none
			}
			if !yield(class, append(slices.Clone(labels), name)) {
				return
			}
		}
	}
}
