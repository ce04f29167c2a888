package cli

import (
	"context"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestWatcherAsksAsOftenAsTold(t *testing.T) {
	for _, count := range []int{1, 3} {
		asked := 0
		p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			io.WriteString(w, goodAnswer)
		})
		var before []int
		rec := new(recorder)
		w := &watcher{
			prober: p, printer: rec, interval: time.Millisecond, count: count,
			before: func(n int) {
				if n != asked+1 {
					t.Errorf("got request %d announced after %d were made", n, asked)
				}
				before = append(before, n)
			},
		}
		sum := w.run(t.Context())
		if asked != count || len(before) != count || len(rec.results) != count || sum.Requests != count || rec.sum != sum {
			t.Errorf("count %d: got %d asked, %d announced, %d printed, summary %+v", count, asked, len(before), len(rec.results), sum)
		}
	}
}

func TestWatcherKeepsItsPace(t *testing.T) {
	const interval = 60 * time.Millisecond
	p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(interval / 3) // which is part of the interval, not on top of it
		io.WriteString(w, goodAnswer)
	})
	rec := new(recorder)
	start := time.Now()
	(&watcher{prober: p, printer: rec, interval: interval, count: 4}).run(t.Context())
	if last := rec.results[3].Time.Sub(start); last < 3*interval-interval/2 {
		t.Errorf("got the fourth request after %v, want it after %v", last, 3*interval)
	}
}

func TestWatcherComparesAndCounts(t *testing.T) {
	answers := []struct {
		pool   string
		status int
	}{{"p", 200}, {"q", 200}, {"", 503}, {"p", 200}}
	asked := 0
	p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		a := answers[asked]
		asked++
		w.Header().Set("X-LLM-Pool", a.pool)
		w.WriteHeader(a.status)
		io.WriteString(w, goodAnswer)
	})
	rec := new(recorder)
	sum := (&watcher{prober: p, printer: rec, interval: time.Millisecond, count: len(answers)}).run(t.Context())
	if want := []change{noChange, failover, noChange, recovery}; !slices.Equal(rec.changes, want) {
		t.Errorf("got changes %q, want %q", rec.changes, want)
	}
	if sum.Succeeded != 3 || sum.Failed() != 1 || sum.Failovers != 1 || sum.Recoveries != 1 {
		t.Errorf("got summary %+v", *sum)
	}
}

func TestWatcherDoesNotBeginAfterTheEnd(t *testing.T) {
	asked := 0
	p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		io.WriteString(w, goodAnswer)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec := new(recorder)
	sum := (&watcher{prober: p, printer: rec, interval: time.Millisecond}).run(ctx)
	if asked != 0 || sum.Requests != 0 || len(rec.results) != 0 || rec.sum == nil {
		t.Errorf("got %d requests, %+v; want none, and a summary all the same", asked, sum)
	}
}
