package health

import "time"

// origin is what instants are counted from. Differences to it follow the
// monotonic clock, so a step of the wall clock neither ends a cooldown nor
// lengthens it. It is never written again.
var origin = time.Now()

// unset is the instant that stands for none.
const unset = 0

// instant is t in nanoseconds since origin, small enough for one atomic word,
// and never unset.
func instant(t time.Time) int64 {
	if at := int64(t.Sub(origin)); at != unset {
		return at
	}
	return 1
}
