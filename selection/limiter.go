package selection

import (
	"context"
	"sync/atomic"
	"time"
)

// Limiter keeps what a deployment is sent in any minute below its limits.
// Requests are counted when they are sent; tokens by an estimate then, and by
// what they really were once that is known. It is safe for concurrent use.
type Limiter struct {
	rpm, tpm int64 // 0 is no limit
	minute   *Minute
	// strict is asked before each request, where instances share a limit exactly;
	// nil is nobody.
	strict Arbiter

	// What was used when Fits last looked, near for those who only compare.
	lastRequests, lastTokens atomic.Int64
}

// Arbiter lets requests of all instances through as far as a shared limit goes.
type Arbiter interface {
	// Reserve takes a request of so many tokens out of the limits, of which 0 is
	// none, or tells how long it takes until it would fit. An error is that nobody
	// can tell. It does not wait for longer than is bearable for a request.
	Reserve(ctx context.Context, rpm, tpm, tokens int64) (ok bool, wait time.Duration, err error)
}

// NewLimiter makes a limiter of a deployment that has been sent nothing, or nil
// when neither limit is set.
func NewLimiter(rpm, tpm int64) *Limiter { return new(Minute).Limit(rpm, tpm) }

// Limit makes a limiter over what the deployment has been sent; nil when neither
// limit is set.
func (m *Minute) Limit(rpm, tpm int64) *Limiter {
	if rpm <= 0 && tpm <= 0 {
		return nil
	}
	return &Limiter{rpm: max(rpm, 0), tpm: max(tpm, 0), minute: m}
}

// AskFirst makes the limiter ask an arbiter before each request. It must be
// called before the first.
func (l *Limiter) AskFirst(a Arbiter) { l.strict = a }

// Fits reports whether one more request of so many tokens is within the limits.
func (l *Limiter) Fits(now time.Time, tokens int) bool {
	m := l.minute
	if m.shown.second.Load() != now.Unix() { // as it mostly is only for the first of a second
		m.look(now)
	}
	requests, used := m.shown.requests.Load(), m.shown.tokens.Load()
	if l.lastRequests.Load() != requests {
		l.lastRequests.Store(requests)
	}
	if l.lastTokens.Load() != used {
		l.lastTokens.Store(used)
	}
	return l.under(requests, used, int64(tokens))
}

// Use is the part of the limits that is used up once a request of so many tokens is
// let in, of the one that is nearer to its end: 1 is all of it. It goes by what Fits has last
// seen of the minute.
func (l *Limiter) Use(tokens int) float64 {
	use := 0.0
	if l.rpm > 0 {
		use = float64(l.lastRequests.Load()+1) / float64(l.rpm)
	}
	if l.tpm > 0 {
		use = max(use, float64(l.lastTokens.Load()+int64(tokens))/float64(l.tpm))
	}
	return use
}

// Reserve takes a request and its tokens out of the limits; false when they are
// used up. What comes of it must be settled.
func (l *Limiter) Reserve(now time.Time, tokens int) (Reservation, bool) {
	m := l.minute
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slide(now)
	if !l.fits(int64(tokens)) {
		return Reservation{}, false
	}
	m.add(m.last, 1, int64(tokens))
	if l.strict == nil {
		m.tell(m.last, 1, int64(tokens))
	}
	m.show()
	return Reservation{limiter: l, second: m.last, tokens: int64(tokens)}, true
}

// Wait is how long it takes until a request of so many tokens fits, when no
// other is let in meanwhile, by any instance; at most 61 seconds.
func (l *Limiter) Wait(now time.Time, tokens int) time.Duration {
	m := l.minute
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slide(now)
	if l.fits(int64(tokens)) {
		return 0
	}
	own := l.ownWait(now, int64(tokens))
	if m.shared != nil {
		return max(own, l.sharedWait(now, int64(tokens)))
	}
	return own
}

// ownWait is the wait as far as this instance's own requests go.
func (l *Limiter) ownWait(now time.Time, tokens int64) time.Duration {
	m := l.minute
	requests, used := m.requests.sum, m.tokens.sum
	if l.under(requests, used, tokens) {
		return 0
	}
	for s := m.last - minuteSeconds + 1; s <= m.last; s++ {
		i := bucket(s)
		requests -= m.requests.second[i]
		used -= m.tokens.second[i]
		if l.under(requests, used, tokens) {
			return time.Unix(s+minuteSeconds, 0).Sub(now)
		}
	}
	return minuteSeconds * time.Second // not reached: an empty minute takes anything
}

// sharedWait is the wait as far as it is known what all instances use. What the
// others have yet to hear is this instance's own, which ownWait knows; when that
// alone is too much, the rest has to go as well.
func (l *Limiter) sharedWait(now time.Time, tokens int64) (wait time.Duration) {
	s := l.minute.shared
	known := s.known()
	for n := s.all.gone; n < minuteSeconds; n++ {
		if l.under(max(known.requests, 0), max(known.tokens, 0), tokens) {
			return wait
		}
		if left := s.all.leaving(n); left != (amount{}) {
			known.add(-left.requests, -left.tokens)
			wait = s.all.began.Add(time.Duration(n+1) * time.Second).Sub(now)
		}
	}
	return wait
}

func (l *Limiter) fits(tokens int64) bool {
	requests, used := l.minute.used()
	return l.under(requests, used, tokens)
}

// under lets a request that is larger than the whole limit through when nothing
// else is in its minute: the upstream is the better judge of what it cannot do.
func (l *Limiter) under(requests, used, tokens int64) bool {
	return (l.rpm <= 0 || requests < l.rpm) &&
		(l.tpm <= 0 || used+tokens <= l.tpm || used == 0)
}
