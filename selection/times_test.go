package selection

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestTimesTellPercentiles(t *testing.T) {
	const ms = time.Millisecond
	upTo := func(n int) (times []time.Duration) { // in no order
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			times = append(times, time.Duration(i+1)*ms)
		}
		return times
	}
	for _, test := range []struct {
		name    string
		times   []time.Duration
		percent int
		want    time.Duration // 0 is unknown
	}{
		{"nothing", nil, 95, 0},
		{"too few", upTo(19), 50, 0},
		{"just enough", upTo(20), 95, 19 * ms},
		{"the median", upTo(100), 50, 50 * ms},
		{"the highest", upTo(100), 99, 99 * ms},
		{"the last of few", upTo(20), 99, 20 * ms},
		{"all alike", slices.Repeat([]time.Duration{ms}, 50), 90, ms},
		{"no times", slices.Repeat([]time.Duration{0, -ms}, 50), 90, 0},
		{"the last ones only", slices.Concat(slices.Repeat([]time.Duration{time.Hour}, 128), upTo(128)), 99, 127 * ms},
		{"some of those before", slices.Concat(slices.Repeat([]time.Duration{time.Hour}, 128), upTo(126)), 99, time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			var times Times
			for _, took := range test.times {
				times.Add(took)
			}
			if got, ok := times.Percentile(test.percent); got != test.want || ok != (test.want > 0) {
				t.Errorf("p%d: got %v, known %v; want %v", test.percent, got, ok, test.want)
			}
		})
	}
}

// Whatever comes in whatever order, the percentile is that of the last ones.
func TestTimesForgetTheOldest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var times Times
	var all []time.Duration
	for i := range 2000 {
		took := time.Duration(1 + rnd.IntN(50)) // with many that are alike
		times.Add(took)
		all = append(all, took)
		last := slices.Clone(all[max(0, len(all)-timesKept):])
		slices.Sort(last)
		for _, percent := range []int{50, 90, 99} {
			want := last[(len(last)*percent+99)/100-1]
			if got, ok := times.Percentile(percent); ok != (len(all) >= timesNeeded) || ok && got != want {
				t.Fatalf("after %d, p%d: got %v, known %v; want %v", i+1, percent, got, ok, want)
			}
		}
	}
}

// An answer that nobody waited for to the end counts only where it was late, and as one
// that came at most.
func TestTimesOfWhatWasGivenUp(t *testing.T) {
	var times Times
	times.AddLate(time.Hour, 90) // of which nothing is known
	for range 100 {
		times.Add(time.Second)
	}
	for range 20 {
		times.AddLate(time.Millisecond, 90)
	}
	if got, ok := times.Percentile(90); !ok || got != time.Second {
		t.Errorf("after short waits: got %v, want still 1s", got)
	}
	times.Add(2 * time.Second)
	for range 20 {
		times.AddLate(time.Hour, 90)
	}
	if got, ok := times.Percentile(90); !ok || got != 2*time.Second {
		t.Errorf("after long waits: got %v, want 2s", got)
	}
}

func TestTimesAreSafeForConcurrentUse(t *testing.T) {
	var times Times
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				times.Add(time.Duration(i*500 + j + 1))
				times.AddLate(time.Duration(j+1), 90)
				times.Percentile(95)
			}
		})
	}
	all.Wait()
	if n := len(times.kept.sorted); n != timesKept || !slices.IsSorted(times.kept.sorted) {
		t.Errorf("got %d times, sorted %v; want the last %d in order", n, slices.IsSorted(times.kept.sorted), timesKept)
	}
}

// What a request costs where hedges go by a percentile.
func BenchmarkTimes(b *testing.B) {
	for _, what := range []string{"rising", "random"} {
		b.Run(what, func(b *testing.B) {
			var times Times
			rnd, n := rand.New(rand.NewPCG(1, 2)), 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				took := time.Duration(n)
				if what == "random" {
					took = time.Duration(1 + rnd.IntN(1e9))
				}
				times.Add(took)
				times.Percentile(95)
			}
		})
	}
}

func ExampleTimes() {
	var times Times
	for i := range 100 {
		times.Add(time.Duration(i+1) * time.Millisecond)
	}
	fmt.Println(times.Percentile(95))
	// Output: 95ms true
}
