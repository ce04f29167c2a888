package metrics

import (
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/llmrouter/caddy-llm-router/internal/status"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// observe is what one streamed request adds up to that fails over and then, in
// the second pool, goes well.
func observe(gpt, llama *Pool, east, gpu *Deployment) {
	east.Attempted(retry.RateLimit)
	gpt.FellBack(llama, retry.RateLimit)
	gpu.Attempted(retry.None)
	gpu.Streamed(300*time.Millisecond, 12*time.Millisecond)
	gpu.Used(Tokens{Input: 1200, Output: 300, Cached: 1000, Reasoning: 120})
	gpu.Cost(0.00168)
	gpu.Ended(retry.None, 4*time.Second)
	llama.Overhead(80 * time.Microsecond)
}

func newObserved() (gpt, llama *Pool, east, gpu *Deployment) {
	m := New()
	gpt, llama = m.Pool("gpt"), m.Pool("llama")
	return gpt, llama, gpt.Deployment("east"), llama.Deployment("gpu")
}

func TestCountingAllocatesNothing(t *testing.T) {
	gpt, llama, east, gpu := newObserved()
	observe(gpt, llama, east, gpu)
	if got := testing.AllocsPerRun(100, func() { observe(gpt, llama, east, gpu) }); got != 0 {
		t.Errorf("got %v allocations for a request, want none", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	gpt, llama, east, gpu := newObserved()
	b.ReportAllocs()
	for b.Loop() {
		observe(gpt, llama, east, gpu)
	}
}

// Requests on all cores count on the same counters at once.
func BenchmarkObserveInParallel(b *testing.B) {
	gpt, llama, east, gpu := newObserved()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			observe(gpt, llama, east, gpu)
		}
	})
}

// A page of 500 deployments, counters and gauges.
func BenchmarkPage(b *testing.B) {
	m, now := New(), status.Status{}
	for i := range 100 {
		pool := status.Pool{Name: "pool-" + strconv.Itoa(i)}
		counters := m.Pool(pool.Name)
		for j := range 5 {
			id := "deployment-" + strconv.Itoa(j)
			counters.Deployment(id)
			pool.Deployments = append(pool.Deployments, status.Deployment{ID: id, State: status.Healthy})
		}
		now.Pools = append(now.Pools, pool)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := m.Register(registry); err != nil {
		b.Fatal(err)
	}
	registry.MustRegister(NewLive(func() status.Status { return now }))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
