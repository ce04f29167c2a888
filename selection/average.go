package selection

import (
	"math"
	"sync/atomic"
)

// newSample is the share of an average that a new sample makes up, so that the
// last ten or so count.
const newSample = 0.2

// Average is a moving average of what was seen last. The zero Average has seen
// nothing. It is safe for concurrent use and takes no lock.
type Average struct{ bits atomic.Uint64 }

// Value is the average, 0 before the first sample.
func (a *Average) Value() float64 { return math.Float64frombits(a.bits.Load()) }

// Add takes a sample in. What is not above zero is none.
func (a *Average) Add(sample float64) {
	if !(sample > 0) || math.IsInf(sample, 1) {
		return
	}
	for {
		old := a.bits.Load()
		next := sample
		if old != 0 {
			next = math.Float64frombits(old) + newSample*(sample-math.Float64frombits(old))
		}
		if a.bits.CompareAndSwap(old, math.Float64bits(next)) {
			return
		}
	}
}
