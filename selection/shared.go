package selection

import "time"

// Spent is what was used of a deployment's limits some time ago.
type Spent struct {
	// Age is how long ago that was, in whole seconds.
	Age int64
	// Requests and Tokens may be negative, where less was used than reserved.
	Requests, Tokens int64
}

// Total is what all instances have used of a deployment in the last minute.
type Total struct {
	Requests, Tokens int64
	// RequestsFree and TokensFree are the times until the oldest of them leave
	// the minute.
	RequestsFree, TokensFree time.Duration
}

// shared is what a Minute knows of other instances, and what they have yet to
// hear of this one.
type shared struct {
	unsent amounts
	// sent is on its way: told to the others, and not in total yet.
	sentRequests, sentTokens int64
	total                    Total
	at                       time.Time // when total was true; zero before the first
}

// amounts are requests and tokens by second.
type amounts struct{ requests, tokens ring }

func (a *amounts) add(second, requests, tokens int64) {
	a.requests.add(second, requests)
	a.tokens.add(second, tokens)
}

func (s *shared) forget(second int64) {
	s.unsent.requests.forget(second)
	s.unsent.tokens.forget(second)
}

// used is what all instances have used, given what this one has. A total that
// nothing has confirmed for a minute is nobody's any more.
func (s *shared) used(now time.Time, requests, tokens int64) (allRequests, allTokens int64) {
	if !s.fresh(now) {
		return requests, tokens
	}
	return max(requests, s.total.Requests+s.sentRequests+s.unsent.requests.sum),
		max(tokens, s.total.Tokens+s.sentTokens+s.unsent.tokens.sum)
}

func (s *shared) fresh(now time.Time) bool {
	return !s.at.IsZero() && now.Sub(s.at) < minuteSeconds*time.Second
}

// Share begins to keep what other instances have to hear, from the next request
// on. It may be called again.
func (m *Minute) Share() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared == nil {
		m.shared = new(shared)
	}
}

// TakeSpent appends what was used since the last call to dst, oldest first, and
// holds it for on its way until SetTotal or Untake. Calls of the three must not
// overlap.
func (m *Minute) TakeSpent(now time.Time, dst []Spent) []Spent {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slide(now)
	if m.shared == nil {
		return dst
	}
	unsent := &m.shared.unsent
	for second := m.last - minuteSeconds + 1; second <= m.last; second++ {
		i := bucket(second)
		requests, tokens := unsent.requests.second[i], unsent.tokens.second[i]
		if requests == 0 && tokens == 0 {
			continue
		}
		dst = append(dst, Spent{Age: m.last - second, Requests: requests, Tokens: tokens})
		m.shared.forget(second)
		m.shared.sentRequests += requests
		m.shared.sentTokens += tokens
	}
	return dst
}

// Untake takes back what did not reach the others. takenAt is the now of
// TakeSpent.
func (m *Minute) Untake(now, takenAt time.Time, spent []Spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slide(now)
	if m.shared == nil {
		return
	}
	m.shared.sentRequests, m.shared.sentTokens = 0, 0
	for _, s := range spent {
		if second := takenAt.Unix() - s.Age; second > m.last-minuteSeconds && second <= m.last {
			m.shared.unsent.add(second, s.Requests, s.Tokens)
		}
	}
}

// SetTotal tells what all instances have used, with what TakeSpent last handed
// over among it.
func (m *Minute) SetTotal(now time.Time, total Total) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared == nil {
		return
	}
	m.shared.sentRequests, m.shared.sentTokens = 0, 0
	m.shared.total, m.shared.at = total, now
}
