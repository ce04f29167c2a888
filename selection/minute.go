package selection

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// minuteSeconds are the seconds of a sliding minute and the one that is being
// left: what was used frees between 60 and 61 seconds later, never sooner.
const minuteSeconds = 61

// Minute is what a deployment has been sent in the last minute, whatever its
// limits are. The zero Minute is empty. It is safe for concurrent use and must
// not be copied.
type Minute struct {
	shown shown

	mu       sync.Mutex // protects what follows
	last     int64      // the second that the newest bucket stands for
	requests ring
	tokens   ring
	shared   *shared // nil while no other instance sends to the deployment
}

// shown is what a Minute holds, for those who only look. Somebody may write while it
// is read, so that its words need not belong together.
type shown struct {
	second           atomic.Int64 // for which it is all there is to know, or noSecond
	requests, tokens atomic.Int64
}

// noSecond never comes.
const noSecond = math.MinInt64

// show lets everybody see what is used. The lock is held.
func (m *Minute) show() {
	requests, tokens := m.used()
	m.shown.requests.Store(requests)
	m.shown.tokens.Store(tokens)
	second := m.last
	if m.shared != nil { // of whose seconds nobody knows when they end
		second = noSecond
	}
	m.shown.second.Store(second)
}

// ring is an amount by second, and its sum.
type ring struct {
	second [minuteSeconds]int64
	sum    int64
}

func (r *ring) add(second, n int64) {
	r.second[bucket(second)] += n
	r.sum += n
}

func (r *ring) forget(second int64) {
	i := bucket(second)
	r.sum -= r.second[i]
	r.second[i] = 0
}

func bucket(second int64) int64 {
	return (second%minuteSeconds + minuteSeconds) % minuteSeconds
}

// Used gives the requests and tokens of the minute that ends now, those of other
// instances included as far as they are known.
func (m *Minute) Used(now time.Time) (requests, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slide(now)
	return m.used()
}

// used is Used with the lock held and the buckets in place.
func (m *Minute) used() (requests, tokens int64) {
	requests, tokens = m.requests.sum, m.tokens.sum
	if m.shared != nil {
		requests, tokens = m.shared.used(requests, tokens)
	}
	return requests, tokens
}

// look lets everybody see what is used now.
func (m *Minute) look(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slide(now)
	m.show()
}

// slide forgets what has left the minute. The lock is held.
func (m *Minute) slide(now time.Time) {
	if m.shared != nil {
		m.shared.all.slide(now)
	}
	second := now.Unix()
	if second <= m.last {
		return
	}
	for k := second - min(second-m.last, minuteSeconds) + 1; k <= second; k++ {
		m.requests.forget(k)
		m.tokens.forget(k)
		if m.shared != nil {
			m.shared.unsent.forget(k)
			m.shared.sent.forget(k)
		}
	}
	m.last = second
}

// add takes note of an amount in the bucket of a second. The lock is held.
func (m *Minute) add(second, requests, tokens int64) {
	m.requests.add(second, requests)
	m.tokens.add(second, tokens)
}

// tell keeps an amount for the other instances, if there are any. The lock is held.
func (m *Minute) tell(second, requests, tokens int64) {
	if m.shared != nil {
		m.shared.unsent.add(second, requests, tokens)
	}
}

// correct changes what was taken in a second, unless that has left the minute;
// own is what this instance counts, told what the others have yet to hear.
func (m *Minute) correct(second int64, own, told amount) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if second <= m.last-minuteSeconds || second > m.last {
		return
	}
	m.add(second, own.requests, own.tokens)
	m.tell(second, told.requests, told.tokens)
	m.show()
}

// amount is a number of requests and of tokens.
type amount struct{ requests, tokens int64 }

func (a *amount) add(requests, tokens int64) {
	a.requests += requests
	a.tokens += tokens
}
