package health

import (
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// buckets is the number of steps in which a window slides: an outcome leaves
// it after eleven to twelve twelfths of its length.
const buckets = 12

// minBucket keeps a bucket's number within 32 bits for weeks.
const minBucket = time.Millisecond

// lateness is how many buckets a caller can plausibly be behind. A cell still
// further ahead was written before the numbers wrapped around.
const lateness = 100 * buckets

// Window counts outcomes over a sliding stretch of time. It is safe for
// concurrent use and takes no lock.
type Window struct {
	width int64 // of one bucket, in nanoseconds
	cells [buckets][retry.NumClasses]cell
}

// Counts is what a window holds at one moment.
type Counts struct {
	// Successes is the number of good answers.
	Successes int
	// Failures is the number of failed attempts by class.
	Failures [retry.NumClasses]int
}

// Failed is the number of failures of all classes.
func (c Counts) Failed() int {
	sum := 0
	for _, n := range c.Failures {
		sum += n
	}
	return sum
}

// NewWindow makes an empty window. Lengths under twelve milliseconds are
// rounded up to that.
func NewWindow(length time.Duration) *Window {
	return &Window{width: bucketWidth(length)}
}

func bucketWidth(length time.Duration) int64 { return int64(max(length/buckets, minBucket)) }

// Add counts one outcome; class None is a success. An outcome older than what
// the window covers is dropped, as is a class that does not exist.
func (w *Window) Add(now time.Time, class retry.Class) {
	if class >= retry.NumClasses {
		return
	}
	tick := w.tick(now)
	w.cells[bucket(tick)][class].add(uint32(tick))
}

// Counts sums up the outcomes of the window that ends now.
func (w *Window) Counts(now time.Time) Counts {
	tick := uint32(w.tick(now))
	var sum Counts
	for i := range w.cells {
		row := &w.cells[i]
		sum.Successes += row[retry.None].count(tick)
		for class := retry.None + 1; class < retry.NumClasses; class++ {
			sum.Failures[class] += row[class].count(tick)
		}
	}
	return sum
}

// tick is the number of the bucket that now falls into, rounded down also
// before origin.
func (w *Window) tick(now time.Time) int64 {
	t := instant(now)
	tick := t / w.width
	if t%w.width < 0 {
		tick--
	}
	return tick
}

func bucket(tick int64) int {
	return int((tick%buckets + buckets) % buckets)
}

// cell counts one kind of outcome in one bucket. The number of the bucket
// stands in the upper half of the word and the count in the lower, so that
// turning a stale cell over and counting in it is one atomic step.
type cell struct{ word atomic.Uint64 }

func (c *cell) add(tick uint32) {
	for {
		word := c.word.Load()
		switch age := int32(tick - uint32(word>>32)); {
		case age == 0:
			// Should the cell turn over right here, the outcome is counted
			// in the bucket after it, which is as true.
			c.word.Add(1)
			return
		case age < 0 && age > -lateness && uint32(word) != 0:
			return // a full turn late
		case c.word.CompareAndSwap(word, uint64(tick)<<32|1):
			return
		}
	}
}

// count is what the cell holds if its bucket belongs to the window that ends
// at tick. Buckets slightly ahead count: callers read their clocks before
// they get here.
func (c *cell) count(tick uint32) int {
	word := c.word.Load()
	if age := int32(tick - uint32(word>>32)); age >= buckets || age <= -buckets {
		return 0
	}
	return int(uint32(word))
}
