package selection

import (
	"fmt"
	"testing"

	"github.com/llmrouter/caddy-llm-router/health"
)

// benchCandidates all pass every filter, the dearest case.
func benchCandidates(n int) []*Candidate {
	var all []*Candidate
	for i := range n {
		all = append(all, &Candidate{
			ID: fmt.Sprint(i), Order: 1, Weight: float64(1 + i%3), MaxParallel: 100,
			Tags: []string{"a"}, State: new(State), Cooldown: health.New(nil), Limiter: NewLimiter(1<<40, 0),
		})
	}
	return all
}

func BenchmarkFilterAndPick(b *testing.B) {
	for _, n := range []int{2, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := benchCandidates(n)
			scratch := make([]*Candidate, 0, n)
			tags := []string{"a"}
			b.ReportAllocs()
			for b.Loop() {
				q := Query{Now: noon, Tags: TagsFor(all, tags), Tokens: 100}
				if (Weighted{}).Pick(&q, q.Filter(scratch, all)) == nil {
					b.Fatal("nobody picked")
				}
			}
		})
	}
}

func BenchmarkLimiterReserve(b *testing.B) {
	l := NewLimiter(1<<50, 1<<60)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Reserve(noon, 100)
		}
	})
}

// plainCandidates have what most have: no limits, no tags.
func plainCandidates(n int) []*Candidate {
	var all []*Candidate
	for i := range n {
		all = append(all, NewCandidate(fmt.Sprint(i), new(State)))
	}
	return all
}

func BenchmarkFilterPlain(b *testing.B) {
	for _, n := range []int{2, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			all := plainCandidates(n)
			scratch := make([]*Candidate, 0, n)
			b.ReportAllocs()
			for b.Loop() {
				q := Query{Now: noon, Tokens: 100}
				if len(q.Filter(scratch, all)) != n {
					b.Fatal("filtered")
				}
			}
		})
	}
}
