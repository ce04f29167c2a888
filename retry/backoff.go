package retry

import "time"

// Backoff is an exponential wait between retries with full jitter, which keeps
// clients that failed together from coming back together.
type Backoff struct {
	// Initial is the upper bound of the first wait. Zero or less: no wait.
	Initial time.Duration
	// Max is what the upper bound does not grow beyond. Zero or less: no limit.
	Max time.Duration
}

// Delay is the wait before retry n, counted from 0: uniform in
// [0, min(Max, Initial*2^n)). random is the draw, from [0, 1).
func (b Backoff) Delay(n int, random float64) time.Duration {
	limit := b.limit(n)
	if limit <= 0 || !(random > 0) { // also NaN
		return 0
	}
	if random >= 1 {
		return limit - 1
	}
	// Rounding of very long waits may reach the limit.
	return min(time.Duration(random*float64(limit)), limit-1)
}

func (b Backoff) limit(n int) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	limit, ceiling := b.Initial, b.Max
	if ceiling <= 0 {
		ceiling = longest
	}
	for ; n > 0 && limit > 0 && limit < ceiling; n-- {
		if limit > ceiling/2 {
			return ceiling
		}
		limit *= 2
	}
	return min(limit, ceiling)
}
