package health

import (
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestWindowCountsByClass(t *testing.T) {
	w := NewWindow(time.Minute)
	for range 3 {
		w.Add(t0, retry.None)
	}
	w.Add(t0, retry.Timeout)
	w.Add(t0.Add(time.Second), retry.Timeout)
	w.Add(t0.Add(30*time.Second), retry.ServerError)

	got := w.Counts(t0.Add(30 * time.Second))
	want := Counts{Successes: 3}
	want.Failures[retry.Timeout], want.Failures[retry.ServerError] = 2, 1
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.Failed() != 3 {
		t.Errorf("failed: got %d, want 3", got.Failed())
	}
}

func TestWindowIgnoresUnknownClass(t *testing.T) {
	w := NewWindow(time.Minute)
	w.Add(t0, retry.NumClasses)
	w.Add(t0, retry.Class(255))
	if got := w.Counts(t0); got != (Counts{}) {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestWindowSlides(t *testing.T) {
	// The first second of a bucket, before and after the origin of instants:
	// rounding must not change direction between them.
	aligned := origin.Truncate(0).Add(time.Nanosecond)
	for name, start := range map[string]time.Time{
		"long before the origin":  aligned.Add(-1000 * time.Hour),
		"across the origin":       aligned.Add(-30 * time.Second),
		"just before the origin":  aligned.Add(-5 * time.Second),
		"from the origin":         aligned,
		"long after the origin":   aligned.Add(1000 * time.Hour),
		"before the zero of time": time.Unix(0, 0).Add(time.Duration(aligned.UnixNano() % int64(5*time.Second))),
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWindow(time.Minute)
			// One failure every 5 s; each bucket holds exactly one.
			for i := range 40 {
				now := start.Add(time.Duration(i) * 5 * time.Second)
				w.Add(now, retry.ServerError)
				want := min(i+1, 12)
				if got := w.Counts(now).Failed(); got != want {
					t.Fatalf("after %v: got %d failures, want %d", now.Sub(start), got, want)
				}
			}
			last := start.Add(39 * 5 * time.Second)
			for i := range 14 {
				now := last.Add(time.Duration(i) * 5 * time.Second)
				want := max(12-i, 0)
				if got := w.Counts(now).Failed(); got != want {
					t.Fatalf("%v after the last: got %d failures, want %d", now.Sub(last), got, want)
				}
			}
		})
	}
}

func TestWindowForgetsAfterElevenToTwelveTwelfths(t *testing.T) {
	w := NewWindow(time.Minute)
	w.Add(t0, retry.ServerError)
	if got := w.Counts(t0.Add(55*time.Second - 1)).Failed(); got != 1 {
		t.Errorf("just before 55s: got %d, want 1", got)
	}
	if got := w.Counts(t0.Add(time.Minute)).Failed(); got != 0 {
		t.Errorf("after 1m: got %d, want 0", got)
	}
}

func TestWindowCountsAfterLongSilence(t *testing.T) {
	for _, length := range []time.Duration{0, time.Millisecond, time.Second, time.Minute, 24 * time.Hour} {
		for _, silence := range []time.Duration{time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 40 * 24 * time.Hour} {
			w := NewWindow(length)
			w.Add(t0, retry.None)
			later := t0.Add(silence)
			w.Add(later, retry.None)
			if got := w.Counts(later).Successes; got < 1 || got > 2 || (got == 2 && silence > length) {
				t.Errorf("window %v, silence %v: got %d successes, want the last one", length, silence, got)
			}
		}
	}
}

func TestWindowTakesLateOutcomes(t *testing.T) {
	t.Run("within the window they count", func(t *testing.T) {
		w := NewWindow(time.Minute)
		w.Add(t0.Add(20*time.Second), retry.None)
		w.Add(t0, retry.None)
		if got := w.Counts(t0.Add(20 * time.Second)).Successes; got != 2 {
			t.Errorf("got %d successes, want 2", got)
		}
	})
	t.Run("older than the window they are dropped", func(t *testing.T) {
		w := NewWindow(time.Minute)
		w.Add(t0.Add(time.Minute), retry.None)
		w.Add(t0, retry.ServerError) // falls into the same cells
		w.Add(t0, retry.None)
		got := w.Counts(t0.Add(time.Minute))
		if got.Successes != 1 || got.Failed() != 0 {
			t.Errorf("got %d successes and %d failures, want 1 and 0", got.Successes, got.Failed())
		}
	})
	t.Run("a reader slightly behind sees what is ahead", func(t *testing.T) {
		w := NewWindow(time.Minute)
		w.Add(t0.Add(6*time.Second), retry.None)
		if got := w.Counts(t0).Successes; got != 1 {
			t.Errorf("got %d successes, want 1", got)
		}
	})
	t.Run("a reader a window behind does not", func(t *testing.T) {
		w := NewWindow(time.Minute)
		w.Add(t0.Add(time.Minute), retry.None)
		if got := w.Counts(t0).Successes; got != 0 {
			t.Errorf("got %d successes, want 0", got)
		}
	})
}

func TestWindowLosesNothingUnderConcurrency(t *testing.T) {
	const workers, each = 8, 3000
	w := NewWindow(time.Minute)
	var wg sync.WaitGroup
	for id := range workers {
		wg.Go(func() {
			for i := range each {
				// 30 s in all, so that cells turn over while others add.
				now := t0.Add(time.Duration(i) * 10 * time.Millisecond)
				if id%2 == 0 {
					w.Add(now, retry.None)
				} else {
					w.Add(now, retry.Connection)
				}
				w.Counts(now)
			}
		})
	}
	wg.Wait()
	got := w.Counts(t0.Add(each * 10 * time.Millisecond))
	if want := workers / 2 * each; got.Successes != want || got.Failures[retry.Connection] != want {
		t.Errorf("got %d successes and %d failures, want %d each", got.Successes, got.Failures[retry.Connection], want)
	}
}
