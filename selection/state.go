package selection

import (
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
)

// State is what is known of one deployment whatever a configuration says of it:
// what it carries, what it was sent, and how it did. It goes on when another
// configuration is loaded, and several may use it at once. The zero State is
// that of a deployment that nobody has asked yet. It is safe for concurrent use
// and must not be copied.
type State struct {
	// What every request looks at or counts comes first, and so lies side by side: of
	// many deployments, the processor's caches do not hold all.

	// Record is what cooldowns remember.
	Record health.Record

	inFlight  atomic.Int64
	inARow    atomic.Int32 // failures since the last good answer
	load      load
	listening listeners

	requests atomic.Int64
	input    atomic.Int64 // tokens
	output   atomic.Int64
	spent    atomic.Uint64 // US$, a float64

	// Output is the average length of an answer, in tokens.
	Output Average
	// FirstToken is the average time to the first content of a stream, in seconds.
	FirstToken Average
	// Headroom is what its answers say is left of its provider's limits.
	Headroom Headroom

	failures atomic.Int64
	failedAt atomic.Int64  // when the latest was, in Unix nanoseconds
	turn     atomic.Uint64 // in round robins, a float64
	number   atomic.Uint32 // in tables of prefixes; 0 is none yet

	// Latency is how long answers are expected to take.
	Latency Latency
	// Minute is what the deployment was sent in the last minute.
	Minute Minute

	// How long streams took to their first content, and other answers in all. They
	// are kept only where hedges go by them.
	streamTimes, wholeTimes Times
}

// InFlight is the number of requests that the deployment is carrying.
func (s *State) InFlight() int64 { return s.inFlight.Load() }

// Requests is the number of attempts ever made, and Failures how many of them
// were failures of the deployment's own.
func (s *State) Requests() int64 { return s.requests.Load() }

// Failures is the number of failures of the deployment's own.
func (s *State) Failures() int64 { return s.failures.Load() }

// ContentTimes are how long streams took to their first content, or other answers
// in all.
func (s *State) ContentTimes(stream bool) *Times {
	if stream {
		return &s.streamTimes
	}
	return &s.wholeTimes
}

// acquire takes a place among the requests in flight; false when limit are
// taken, where 0 is no limit.
func (s *State) acquire(limit int64) bool {
	if limit <= 0 {
		s.inFlight.Add(1)
		return true
	}
	// Counting first and looking then would for a moment refuse others a place
	// that nobody takes.
	for {
		n := s.inFlight.Load()
		if n >= limit {
			return false
		}
		if s.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release gives the place back, and tells those who wait for one.
func (s *State) release() {
	s.inFlight.Add(-1)
	s.tellListeners()
}

// tellListeners lets those who wait look again.
func (s *State) tellListeners() {
	for _, l := range s.listening.now() {
		l.Dispatch()
	}
}

// failingAfter failures in a row, the latest no longer ago than failingFor, make
// a deployment a poor place to fail over to.
const (
	failingAfter = 5
	failingFor   = 10 * time.Second
)

// Asked notes an attempt.
func (s *State) Asked() { s.requests.Add(1) }

// Answered notes a good answer, or the begin of one.
func (s *State) Answered() {
	if s.inARow.Load() != 0 {
		s.inARow.Store(0)
	}
}

// Failed notes a failure of the deployment's own.
func (s *State) Failed(now time.Time) {
	s.failures.Add(1)
	s.failedAt.Store(now.UnixNano())
	s.inARow.Add(1)
}

// Failing reports whether the deployment has lately done nothing but fail. It
// says so long before the rates of a cooldown do where much went well before.
func (s *State) Failing(now time.Time) bool {
	return s.inARow.Load() >= failingAfter && now.UnixNano()-s.failedAt.Load() < int64(failingFor)
}
