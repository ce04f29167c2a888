package selection

import (
	"slices"
	"sync"
	"time"
)

const (
	// timesKept is how many of the last answers a percentile is taken of, and
	// timesNeeded how many there must be.
	timesKept   = 128
	timesNeeded = 20
)

// Times are how long the last answers of a deployment took, for percentiles of
// that. The zero Times has seen nothing, and takes no memory for what it does not
// see. It is safe for concurrent use and must not be copied.
type Times struct {
	mu   sync.Mutex
	kept *keptTimes // nil before the first; guarded by mu
}

// keptTimes are the last times, in the order in which they came and by size.
type keptTimes struct {
	next   int // in the ring of those that came, where the oldest is once it is full
	came   [timesKept]time.Duration
	sorted []time.Duration
}

// Add takes in how long an answer took. What is not above zero is none.
func (t *Times) Add(took time.Duration) {
	if took <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(took)
}

// AddLate takes in that an answer would have taken longer than took. That is
// evidence only where it is late already, by the percentile that is asked for: it
// keeps the percentile from shrinking as nobody waits for what is late. It counts as
// the longest that is kept at most, or a deployment that hangs would be waited for
// longer each time.
func (t *Times) AddLate(took time.Duration, percent int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if late, ok := t.percentile(percent); ok && took >= late {
		t.add(min(took, t.kept.sorted[len(t.kept.sorted)-1]))
	}
}

// Percentile is the time that so many percent of the last answers took at most;
// false while too few have been seen. percent is from 1 to 99.
func (t *Times) Percentile(percent int) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.percentile(percent)
}

func (t *Times) percentile(percent int) (time.Duration, bool) {
	if t.kept == nil || len(t.kept.sorted) < timesNeeded {
		return 0, false
	}
	n := len(t.kept.sorted)
	rank := (n*percent + 99) / 100 // the nearest rank, from 1
	return t.kept.sorted[min(max(rank, 1), n)-1], true
}

func (t *Times) add(took time.Duration) {
	if t.kept == nil {
		t.kept = &keptTimes{sorted: make([]time.Duration, 0, timesKept)}
	}
	k := t.kept
	if len(k.sorted) == timesKept {
		oldest, _ := slices.BinarySearch(k.sorted, k.came[k.next])
		k.sorted = slices.Delete(k.sorted, oldest, oldest+1)
	}
	k.came[k.next] = took
	k.next = (k.next + 1) % timesKept
	at, _ := slices.BinarySearch(k.sorted, took)
	k.sorted = slices.Insert(k.sorted, at, took)
}
