package selection

import "time"

// Spent is what was used of a deployment's limits within one second.
type Spent struct {
	// Age is how many whole seconds ago that was, 0 to 60.
	Age int64
	// Requests and Tokens may be negative, where less was used than reserved.
	Requests, Tokens int64
}

// shared is what a Minute knows of other instances, and what they have yet to
// hear of this one.
type shared struct {
	unsent amounts
	sent   amounts // on its way: told to the others, and not in all yet
	all    everyone
}

// amounts are requests and tokens by second.
type amounts struct{ requests, tokens ring }

func (a *amounts) add(second, requests, tokens int64) {
	a.requests.add(second, requests)
	a.tokens.add(second, tokens)
}

func (a *amounts) forget(second int64) {
	a.requests.forget(second)
	a.tokens.forget(second)
}

// everyone is what all instances have used, this one included. Its seconds are
// those of whoever counts for them all, and begin when they do there.
type everyone struct {
	began time.Time // when the second of age 0 did
	byAge [minuteSeconds]amount
	gone  int // how many of the oldest seconds have left the minute since
	sum   amount
}

func (e *everyone) slide(now time.Time) {
	gone := int(min(now.Sub(e.began)/time.Second, minuteSeconds))
	for ; e.gone < gone; e.gone++ {
		left := e.leaving(e.gone)
		e.sum.requests -= left.requests
		e.sum.tokens -= left.tokens
	}
}

// leaving is the nth second that leaves the minute, n seconds and one after the
// newest one began.
func (e *everyone) leaving(n int) amount { return e.byAge[minuteSeconds-1-n] }

// used is what all instances have used as far as it is known here, and of that
// not less than what this one has.
func (s *shared) used(requests, tokens int64) (allRequests, allTokens int64) {
	known := s.known()
	return max(requests, known.requests), max(tokens, known.tokens)
}

func (s *shared) known() amount {
	return amount{
		s.all.sum.requests + s.sent.requests.sum + s.unsent.requests.sum,
		s.all.sum.tokens + s.sent.tokens.sum + s.unsent.tokens.sum,
	}
}

// Share begins to keep what other instances have to hear, from the next request
// on. It may be called again.
func (m *Minute) Share() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared == nil {
		m.shared = new(shared)
		m.show()
	}
}

func (m *Minute) shares() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shared != nil
}

// TakeSpent appends what was used since the last call to dst, oldest first, and
// holds it for on its way until SetShared or Untake. Calls of the three must not
// overlap.
func (m *Minute) TakeSpent(now time.Time, dst []Spent) []Spent {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared == nil {
		return dst
	}
	m.slide(now)
	unsent := &m.shared.unsent
	for second := m.last - minuteSeconds + 1; second <= m.last; second++ {
		i := bucket(second)
		requests, tokens := unsent.requests.second[i], unsent.tokens.second[i]
		if requests == 0 && tokens == 0 {
			continue
		}
		dst = append(dst, Spent{Age: m.last - second, Requests: requests, Tokens: tokens})
		unsent.forget(second)
		m.shared.sent.add(second, requests, tokens)
	}
	return dst
}

// Untake takes back what did not reach the others, with its ages as of now.
func (m *Minute) Untake(now time.Time, spent []Spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared == nil {
		return
	}
	m.slide(now)
	m.shared.sent = amounts{}
	for _, s := range spent {
		if s.Age >= 0 && s.Age < minuteSeconds {
			m.shared.unsent.add(m.last-s.Age, s.Requests, s.Tokens)
		}
	}
}

// SetShared tells what all instances have used in the last minute, with what
// TakeSpent last handed over among it. Ages are as of the second that began
// then.
func (m *Minute) SetShared(began time.Time, minute []Spent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shared == nil {
		return
	}
	all := everyone{began: began}
	for _, s := range minute {
		if s.Age >= 0 && s.Age < minuteSeconds {
			all.byAge[s.Age].add(s.Requests, s.Tokens)
			all.sum.add(s.Requests, s.Tokens)
		}
	}
	m.shared.all, m.shared.sent = all, amounts{}
}
