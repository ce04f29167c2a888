package health

import (
	"math"
	"time"
)

// origin is what instants are counted from. Differences to it follow the
// monotonic clock, so a step of the wall clock neither ends a cooldown nor
// lengthens it. It is never written again.
var origin = time.Now()

// unset is the instant that stands for none; zero is a real one.
const unset = math.MinInt64

// instant is t in nanoseconds since origin, small enough for one atomic word.
func instant(t time.Time) int64 { return int64(t.Sub(origin)) }
