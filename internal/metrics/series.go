package metrics

import "github.com/prometheus/client_golang/prometheus"

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

	hedgeLost = "lost"
	hedgeWon  = "won"
)

// series are the vectors of all counters and histograms, on the page together.
type series struct {
	requests, attempts, fallbacks, cooldowns, hedges, tokens, cost, dropped, affinity, cache *family
	firstToken, perToken, duration, overhead                                                 *prometheus.HistogramVec

	refused *row
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
		requests: newFamily("requests_total",
			"Requests by how they ended: ok, or the error class. The deployment is the last one tried, and empty when none was.",
			classes(wentWell), "pool", "deployment", "outcome"),
		attempts: newFamily("attempts_total",
			"Round trips to deployments by how they ended: ok, or the error class.",
			classes(wentWell), "pool", "deployment", "class"),
		fallbacks: newFamily("fallbacks_total",
			"Moves of requests to another pool, by the error class that led to them, or unavailable when nothing could be tried.",
			classes(unavailable), "from", "to", "reason"),
		cooldowns: newFamily("cooldowns_total",
			"Cooldowns of deployments, by the error class that led to them, or imposed.",
			classes(imposed), "pool", "deployment", "class"),
		hedges: newFamily("hedges_total",
			"Second attempts beside one that was late, by whether their answer was the one that the client got: won, or lost.",
			nil, "pool", "result"),
		tokens: newFamily("tokens_total",
			"Tokens of answers. Those of direction cached are among input, those of reasoning among output.",
			directions[:], "pool", "deployment", "direction"),
		cost: newFamily("cost_dollars_total",
			"What the tokens of answers cost in US$, reported and estimated ones; 0 where the deployment has no price.",
			nil, "pool", "deployment"),
		dropped: newFamily("dropped_events_total",
			"Malformed events that were taken out of streams.",
			nil, "pool", "deployment"),
		affinity: newFamily("affinity_total",
			"Answers in pools that keep sessions on deployments: hit, moved from the deployment that the session was on, new, or none for a request that names no session.",
			affinityResults(), "pool", "deployment", "result"),
		cache: newFamily("cache_total",
			"Requests of pools that keep answers: answered by a kept one, by that of an identical request at the same time, by a call of their own, or not asked of the cache.",
			cacheResults[:], "pool", "result"),
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
	s.cost.unit = 1e-12
	s.refused = s.requests.with(noPool, noDeployment)
	return s
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets,
	}, labels)
}

// all are the vectors as they are registered.
func (s *series) all() [14]prometheus.Collector {
	return [...]prometheus.Collector{
		s.requests, s.attempts, s.fallbacks, s.cooldowns, s.hedges, s.tokens, s.cost, s.dropped, s.affinity, s.cache,
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
