package queue

import (
	"fmt"
	"testing"
	"time"
)

// What a request pays while nobody waits: asking, and telling of its release.
func BenchmarkNobodyWaits(b *testing.B) {
	now := time.Now()
	for _, bb := range []struct {
		name string
		run  func(*Queue)
	}{
		{"Waiting", func(q *Queue) { q.Waiting() }},
		{"MustWait", func(q *Queue) { q.MustWait(now, 0) }},
		{"Dispatch", func(q *Queue) { q.Dispatch() }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			q := new(Queue)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					bb.run(q)
				}
			})
		})
	}
}

// crowd is n waiters of so many teams and kinds, without their goroutines.
func crowd(q *Queue, n, teams, kinds int, take func() bool) {
	q.mu.Lock()
	defer q.unlock()
	for i := range n {
		join(q, Entry{Team: fmt.Sprint(i % teams), Kind: i % kinds, Tokens: 100, Take: take})
	}
}

func join(q *Queue, e Entry) {
	q.add(&waiter{Entry: e, settled: make(chan struct{})}, time.Now())
}

// Nobody of a thousand can be served; then one can, and another comes.
func BenchmarkDispatch1000(b *testing.B) {
	for _, bb := range []struct {
		name         string
		teams, kinds int
	}{
		{"alike", 1, 1},
		{"10 teams, 4 kinds", 10, 4},
		{"no two alike", 1000, 1000},
	} {
		b.Run(bb.name+"/in vain", func(b *testing.B) {
			var q Queue
			crowd(&q, 1000, bb.teams, bb.kinds, func() bool { return false })
			defer func() { q.timer.Stop() }()
			b.ReportAllocs()
			for b.Loop() {
				q.Dispatch()
			}
		})
		b.Run(bb.name+"/one is served", func(b *testing.B) {
			var q Queue
			var s slots
			crowd(&q, 1000, bb.teams, bb.kinds, s.take)
			defer func() { q.timer.Stop() }()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.free.Add(1)
				q.Dispatch()
				q.mu.Lock()
				join(&q, Entry{Team: fmt.Sprint(i % bb.teams), Kind: i % bb.kinds, Tokens: 100, Take: s.take})
				q.unlock()
			}
		})
	}
}

func TestIdleQueueAllocatesNothing(t *testing.T) {
	q, now := new(Queue), time.Now()
	if n := testing.AllocsPerRun(100, func() {
		if q.Waiting() > 0 || q.MustWait(now, 0) {
			t.Error("somebody waits, want nobody")
		}
		q.Dispatch()
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
