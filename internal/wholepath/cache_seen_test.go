package wholepath

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What is seen of the cache, beside the header: metrics, fields and placeholders. A
// hit has cost nothing, and no deployment was asked for it.
func TestWhatIsSeenOfTheCache(t *testing.T) {
	a := scripted.New(t).Always(scripted.OK("Hi there"))
	s := caddyharness.Load(t, logged(keepingPool(a, "cache 1h")))
	for i, want := range []map[string]any{
		{"cache": "miss", "deployment": "a", "attempts": float64(1), "input_tokens": float64(3)},
		{"cache": "hit", "attempts": float64(0), "cost": float64(0), "fallbacks": float64(0), "pool": "p", "model": "p"},
	} {
		ask(t, s, chatPath, plain)
		fields, _ := s.AccessLog(t, i).Fields["llm_router"].(map[string]any)
		for name, value := range want {
			if fields[name] != value {
				t.Errorf("request %d: %s: got %v, want %v", i+1, name, fields[name], value)
			}
		}
		if _, told := fields["deployment"]; told != (i == 0) {
			t.Errorf("request %d: got %v, want a deployment only where one was asked", i+1, fields)
		}
	}
}

func TestCacheInMetrics(t *testing.T) {
	gate, begun, open := gated(scripted.OK("Hi there"))
	a := scripted.New(t).Always(gate)
	s := caddyharness.Load(t, observed(keepingPool(a, "cache 1h")))
	wait := crowd(t, s, 3, plain)
	<-begun
	followers(t, s, 2)
	open()
	wait()
	ask(t, s, chatPath, plain)
	ask(t, s, "/v1/images/generations", plain)
	page := scrape(t, s)
	for name, want := range map[string]float64{
		`cache_total{pool="p",result="miss"}`:                     1,
		`cache_total{pool="p",result="shared"}`:                   2,
		`cache_total{pool="p",result="hit"}`:                      1,
		`cache_total{pool="p",result="bypass"}`:                   1,
		`requests_total{deployment="",outcome="ok",pool="p"}`:     3,
		`requests_total{deployment="a",outcome="ok",pool="p"}`:    2,
		`attempts_total{class="ok",deployment="a",pool="p"}`:      2,
		`tokens_total{deployment="a",direction="input",pool="p"}`: 6,
		`overhead_seconds_count{pool="p"}`:                        5,
		`request_duration_seconds_count{deployment="",pool="p"}`:  3,
		`request_duration_seconds_count{deployment="a",pool="p"}`: 2,
	} {
		if got := page[name]; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
