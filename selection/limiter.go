package selection

import (
	"sync"
	"time"
)

// limiterBuckets are the seconds of a sliding minute and the one that is being
// left: what was used frees between 60 and 61 seconds later, never sooner.
const limiterBuckets = 61

// Limiter keeps a deployment's requests and tokens of any sliding minute below
// its limits. Requests are counted when they are sent; tokens by the
// estimate that the request came with.
type Limiter struct {
	rpm, tpm int64 // 0 is no limit

	mu       sync.Mutex // protects what follows
	last     int64      // the second that the newest bucket stands for
	requests [limiterBuckets]int64
	tokens   [limiterBuckets]int64
	sumReq   int64
	sumTok   int64
}

// NewLimiter makes a limiter, or nil when neither limit is set.
func NewLimiter(rpm, tpm int64) *Limiter {
	if rpm <= 0 && tpm <= 0 {
		return nil
	}
	return &Limiter{rpm: rpm, tpm: tpm}
}

// Fits reports whether one more request of so many tokens is within the limits.
func (l *Limiter) Fits(now time.Time, tokens int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slide(now)
	return l.fits(int64(tokens))
}

// Reserve takes a request and its tokens out of the limits; false when they
// are used up.
func (l *Limiter) Reserve(now time.Time, tokens int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slide(now)
	if !l.fits(int64(tokens)) {
		return false
	}
	i := bucket(l.last)
	l.requests[i]++
	l.tokens[i] += int64(tokens)
	l.sumReq++
	l.sumTok += int64(tokens)
	return true
}

// Wait is how long it takes until a request of so many tokens fits, when no
// other is let in meanwhile; at most 61 seconds.
func (l *Limiter) Wait(now time.Time, tokens int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slide(now)
	requests, used := l.sumReq, l.sumTok
	if l.under(requests, used, int64(tokens)) {
		return 0
	}
	for s := l.last - limiterBuckets + 1; s <= l.last; s++ {
		i := bucket(s)
		requests -= l.requests[i]
		used -= l.tokens[i]
		if l.under(requests, used, int64(tokens)) {
			return time.Unix(s+limiterBuckets, 0).Sub(now)
		}
	}
	return limiterBuckets * time.Second // not reached: an empty minute takes anything
}

func (l *Limiter) fits(tokens int64) bool { return l.under(l.sumReq, l.sumTok, tokens) }

// under lets a request that is larger than the whole limit through when nothing
// else is in its minute: the upstream is the better judge of what it cannot do.
func (l *Limiter) under(requests, used, tokens int64) bool {
	return (l.rpm <= 0 || requests < l.rpm) &&
		(l.tpm <= 0 || used+tokens <= l.tpm || used == 0)
}

// slide forgets the buckets that have left the minute.
func (l *Limiter) slide(now time.Time) {
	second := now.Unix()
	if second <= l.last {
		return
	}
	gone := min(second-l.last, limiterBuckets)
	for k := second - gone + 1; k <= second; k++ {
		i := bucket(k)
		l.sumReq -= l.requests[i]
		l.sumTok -= l.tokens[i]
		l.requests[i], l.tokens[i] = 0, 0
	}
	l.last = second
}

func bucket(second int64) int64 {
	return (second%limiterBuckets + limiterBuckets) % limiterBuckets
}
