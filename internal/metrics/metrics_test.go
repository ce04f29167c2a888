package metrics

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/status"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// newRegistry is a registry as Caddy makes one for every config.
func newRegistry(t *testing.T, m *Metrics) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := m.Register(registry); err != nil {
		t.Fatal(err)
	}
	return registry
}

// moved is the page of a registry without the series that are 0.
func moved(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	all := page(t, registry)
	for name, value := range all {
		if value == 0 {
			delete(all, name)
		}
	}
	return all
}

// page maps each series to its value, that of a histogram being its count, and
// its sum under the name with _sum.
func page(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		name := strings.TrimPrefix(family.GetName(), "caddy_llm_router_")
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			suffix := "{" + strings.Join(labels, ",") + "}"
			if h := metric.GetHistogram(); h != nil {
				all[name+suffix] = float64(h.GetSampleCount())
				all[name+"_sum"+suffix] = h.GetSampleSum()
				continue
			}
			all[name+suffix] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return all
}

func compare(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: got %v, want %v", name, got[name], value)
		}
	}
	for name, value := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("got %s %v, which is not expected", name, value)
		}
	}
}

// busy counts one of everything.
func busy(m *Metrics) (gpt, llama *Pool, east *Deployment) {
	gpt, llama = m.Pool("gpt"), m.Pool("llama")
	east = gpt.Deployment("east")
	east.KeepsSessions()
	count(m, gpt, llama, east)
	return gpt, llama, east
}

func count(m *Metrics, gpt, llama *Pool, east *Deployment) {
	m.Refused(retry.NotFound)
	gpt.Untried(retry.Overloaded, 250*time.Millisecond)
	gpt.Overhead(time.Millisecond)
	east.Overhead(2 * time.Millisecond)
	gpt.FellBack(llama, retry.Timeout)
	gpt.FellBack(llama, retry.None)
	gpt.Hedged(true)
	gpt.Hedged(true)
	gpt.Hedged(false)
	east.Attempted(retry.None)
	east.Attempted(retry.RateLimit)
	east.Cooled(retry.RateLimit)
	east.Cooled(retry.None)
	east.Streamed(500*time.Millisecond, 20*time.Millisecond)
	east.Used(Tokens{Input: 100, Output: 20, Cached: 60, Reasoning: 5})
	east.Cost(0.25)
	east.Dropped(2)
	for _, r := range []affinity.Result{affinity.Off, affinity.Hit, affinity.Hit, affinity.Moved, affinity.None} {
		east.Affinity(r)
	}
	east.Ended(retry.None, 2*time.Second)
	east.Ended(retry.Canceled, time.Second)
}

var counted = map[string]float64{
	"requests_total{deployment=,outcome=not_found,pool=_other}":   1,
	"requests_total{deployment=,outcome=overloaded,pool=gpt}":     1,
	"requests_total{deployment=east,outcome=ok,pool=gpt}":         1,
	"requests_total{deployment=east,outcome=canceled,pool=gpt}":   1,
	"attempts_total{class=ok,deployment=east,pool=gpt}":           1,
	"attempts_total{class=rate_limit,deployment=east,pool=gpt}":   1,
	"fallbacks_total{from=gpt,reason=timeout,to=llama}":           1,
	"fallbacks_total{from=gpt,reason=unavailable,to=llama}":       1,
	"hedges_total{pool=gpt,result=lost}":                          1,
	"hedges_total{pool=gpt,result=won}":                           2,
	"cooldowns_total{class=rate_limit,deployment=east,pool=gpt}":  1,
	"cooldowns_total{class=imposed,deployment=east,pool=gpt}":     1,
	"tokens_total{deployment=east,direction=input,pool=gpt}":      100,
	"tokens_total{deployment=east,direction=output,pool=gpt}":     20,
	"tokens_total{deployment=east,direction=cached,pool=gpt}":     60,
	"tokens_total{deployment=east,direction=reasoning,pool=gpt}":  5,
	"cost_dollars_total{deployment=east,pool=gpt}":                0.25,
	"dropped_events_total{deployment=east,pool=gpt}":              2,
	"affinity_total{deployment=east,pool=gpt,result=hit}":         2,
	"affinity_total{deployment=east,pool=gpt,result=moved}":       1,
	"affinity_total{deployment=east,pool=gpt,result=none}":        1,
	"time_to_first_token_seconds{deployment=east,pool=gpt}":       1,
	"time_to_first_token_seconds_sum{deployment=east,pool=gpt}":   0.5,
	"time_per_output_token_seconds{deployment=east,pool=gpt}":     1,
	"time_per_output_token_seconds_sum{deployment=east,pool=gpt}": 0.02,
	"request_duration_seconds{deployment=,pool=gpt}":              1,
	"request_duration_seconds_sum{deployment=,pool=gpt}":          0.25,
	"request_duration_seconds{deployment=east,pool=gpt}":          2,
	"request_duration_seconds_sum{deployment=east,pool=gpt}":      3,
	"overhead_seconds{pool=gpt}":                                  2,
	"overhead_seconds_sum{pool=gpt}":                              0.003,
}

func TestEverythingIsCounted(t *testing.T) {
	m := New()
	busy(m)
	compare(t, moved(t, newRegistry(t, m)), counted)
}

// A registry refuses a page on which anything is wrong, and Prometheus dislikes
// names that do not follow its rules.
func TestNamesFollowTheRules(t *testing.T) {
	m := New()
	busy(m)
	registry := newRegistry(t, m)
	registry.MustRegister(NewLive(func() status.Status {
		return status.Status{Pools: somePools, Redis: &status.Redis{Up: true}}
	}))
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// An alert sees the increase of a counter only if it was there before. Histograms
// come with what they observe.
func TestCountersAreThereBeforeTheyMove(t *testing.T) {
	m := New()
	gpt, llama := m.Pool("gpt"), m.Pool("llama")
	gpt.Deployment("east").KeepsSessions()
	gpt.FallsBackTo(llama)
	before := page(t, newRegistry(t, m))
	for name := range counted {
		if strings.Contains(name, "_seconds") {
			if _, ok := before[name]; ok {
				t.Errorf("%s: got it before anything was observed", name)
			}
			continue
		}
		if value, ok := before[name]; !ok || value != 0 {
			t.Errorf("%s: got %v, %t; want 0", name, value, ok)
		}
	}
}

func TestHistogramsReachFromQuickToSlow(t *testing.T) {
	for _, tt := range []struct {
		name              string
		buckets           []float64
		shortest, longest time.Duration
	}{
		{"time to first token", firstTokenBuckets, 10 * time.Millisecond, time.Minute},
		{"time per output token", perTokenBuckets, time.Millisecond, time.Second},
		{"request duration", durationBuckets, 50 * time.Millisecond, 10 * time.Minute},
		{"overhead", overheadBuckets, 10 * time.Microsecond, 100 * time.Millisecond},
	} {
		if got := tt.buckets[0]; got != tt.shortest.Seconds() {
			t.Errorf("%s: got a first bound of %v, want %v", tt.name, got, tt.shortest)
		}
		if got := tt.buckets[len(tt.buckets)-1]; got != tt.longest.Seconds() {
			t.Errorf("%s: got a last bound of %v, want %v", tt.name, got, tt.longest)
		}
	}
}

func TestUnknownAndAbsurdNumbersCountForNothing(t *testing.T) {
	m := New()
	gpt := m.Pool("gpt")
	east := gpt.Deployment("east")
	east.Streamed(0, -time.Second)
	east.Used(Tokens{Input: -5, Cached: -1})
	east.Cost(-0.01)
	east.Cost(math.NaN())
	east.Dropped(-1)
	compare(t, moved(t, newRegistry(t, m)), map[string]float64{})
	gpt.Overhead(-time.Second) // clocks of different sources may cross
	compare(t, moved(t, newRegistry(t, m)), map[string]float64{"overhead_seconds{pool=gpt}": 1})
}

// Most pools keep no sessions, and have no series of them.
func TestSessionsAreCountedWhereTheyAreKept(t *testing.T) {
	m := New()
	east := m.Pool("gpt").Deployment("east")
	east.Affinity(affinity.Hit)
	for name := range page(t, newRegistry(t, m)) {
		if strings.Contains(name, "affinity") {
			t.Errorf("got %s, want no such series", name)
		}
	}
}

func TestNobodyCounts(t *testing.T) {
	var m *Metrics
	if err := m.Register(prometheus.NewPedanticRegistry()); err != nil {
		t.Errorf("got %v, want none", err)
	}
	gpt, llama, east := busy(m)
	gpt.FallsBackTo(llama)
	east.Release()
	gpt.Release()
	if gpt != nil || llama != nil || east != nil {
		t.Errorf("got %v, %v, %v; want nil", gpt, llama, east)
	}
}

func TestRegistration(t *testing.T) {
	t.Run("twice, by two handlers of a config", func(t *testing.T) {
		m := New()
		registry := newRegistry(t, m)
		if err := m.Register(registry); err != nil {
			t.Errorf("got %v, want none", err)
		}
	})
	t.Run("besides others of the same names", func(t *testing.T) {
		registry := newRegistry(t, New())
		var already prometheus.AlreadyRegisteredError
		if err := New().Register(registry); !errors.As(err, &already) {
			t.Errorf("got %v, want that the names are taken", err)
		}
	})
}

func TestReload(t *testing.T) {
	m := New()
	gpt, llama, east := busy(m)
	before := moved(t, newRegistry(t, m))

	// The new config is set up while the old one still serves.
	gpt2, llama2, east2 := m.Pool("gpt"), m.Pool("llama"), m.Pool("gpt").Deployment("east")
	registry := newRegistry(t, m)
	compare(t, moved(t, registry), before)
	east.Release()
	gpt.Release()
	llama.Release()

	compare(t, moved(t, registry), before)
	count(m, gpt2, llama2, east2)
	count(m, gpt, llama, east) // requests of the old config that still last
	if got := moved(t, registry)["attempts_total{class=ok,deployment=east,pool=gpt}"]; got != 3 {
		t.Errorf("got %v attempts, want 3", got)
	}
}

func TestReleasedSeriesLeaveThePage(t *testing.T) {
	t.Run("a deployment", func(t *testing.T) {
		m := New()
		_, _, east := busy(m)
		m.Pool("gpt").Deployment("west").Attempted(retry.None)
		east.Release()
		want := map[string]float64{"attempts_total{class=ok,deployment=west,pool=gpt}": 1}
		for name, value := range counted {
			if !strings.Contains(name, "deployment=east") {
				want[name] = value
			}
		}
		registry := newRegistry(t, m)
		compare(t, moved(t, registry), want)
		for name := range page(t, registry) {
			if strings.Contains(name, "deployment=east") {
				t.Errorf("%s is still there", name)
			}
		}
	})
	t.Run("a pool that others fall back to", func(t *testing.T) {
		m := New()
		_, llama, _ := busy(m)
		llama.Release()
		for name := range page(t, newRegistry(t, m)) {
			if strings.Contains(name, "llama") {
				t.Errorf("%s is still there", name)
			}
		}
	})
	t.Run("everything, in whatever order", func(t *testing.T) {
		m := New()
		gpt, llama, east := busy(m)
		gpt.Release()
		east.Release()
		llama.Release()
		count(m, gpt, llama, east) // of requests that outlast their config
		for name := range page(t, newRegistry(t, m)) {
			if !strings.Contains(name, "pool=_other") {
				t.Errorf("%s is still there", name)
			}
		}
		if len(m.pools) > 0 {
			t.Errorf("got %v, want no pools", m.pools)
		}
	})
	t.Run("and begin at 0 when they come back", func(t *testing.T) {
		m := New()
		gpt, _, east := busy(m)
		east.Release()
		gpt.Deployment("east").Attempted(retry.None)
		if got := moved(t, newRegistry(t, m))["attempts_total{class=ok,deployment=east,pool=gpt}"]; got != 1 {
			t.Errorf("got %v attempts, want 1", got)
		}
	})
}

func TestConcurrentReloadsScrapesAndRequests(t *testing.T) {
	m := New()
	registry := newRegistry(t, m)
	kept, _, _ := busy(m)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				gpt, llama := m.Pool("gpt"), m.Pool("llama")
				other := m.Pool("other")
				east := gpt.Deployment("east")
				count(m, gpt, llama, east)
				other.FellBack(gpt, retry.Timeout)
				kept.FellBack(other, retry.Timeout)
				if _, err := registry.Gather(); err != nil {
					t.Error(err)
				}
				for _, pool := range []*Pool{gpt, other, llama} {
					pool.Release()
				}
				east.Release()
			}
		})
	}
	wg.Wait()
	got := page(t, registry)
	if n := got["attempts_total{class=ok,deployment=east,pool=gpt}"]; n != 201 {
		t.Errorf("got %v attempts, want 201", n)
	}
	for name := range got {
		if strings.Contains(name, "other,") || strings.Contains(name, "=other}") {
			t.Errorf("%s is still there", name)
		}
	}
}
