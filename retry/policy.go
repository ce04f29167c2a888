package retry

import "time"

// Policy says how a pool tries again.
type Policy struct {
	// Failover moves a failed request to another deployment at once. It costs no
	// retry.
	Failover bool
	// Retries is how often a request is tried again after failover is used up,
	// for the classes that have no number in ClassRetries.
	Retries int
	// ClassRetries is the number of retries for one class; negative: not set.
	ClassRetries [NumClasses]int
	// Backoff is the wait before a retry when the upstream states none.
	Backoff Backoff
	// MaxWait is the longest wait before a retry; a longer one ends the retries.
	MaxWait time.Duration
	// MaxWaitWithFallback is the same when there is a fallback to go to instead.
	MaxWaitWithFallback time.Duration
	// Budget limits retries over all requests, and failovers to what keeps
	// failing; nil: no limit.
	Budget *Budget
}

// DefaultPolicy is failover and two retries, with a backoff of 500ms to 8s and
// waits of at most 60s, or 5s when there is a fallback. It has no Budget, since
// that is state and not a setting.
func DefaultPolicy() Policy {
	p := Policy{
		Failover:            true,
		Retries:             2,
		Backoff:             Backoff{Initial: 500 * time.Millisecond, Max: 8 * time.Second},
		MaxWait:             time.Minute,
		MaxWaitWithFallback: 5 * time.Second,
	}
	for c := range p.ClassRetries {
		p.ClassRetries[c] = -1
	}
	return p
}

// RetriesFor returns how often a request that failed with class c is retried:
// what ClassRetries says, else Retries for the failures that pass by themselves,
// else 0. A timeout has none unless set: it has already cost the client as much
// patience as one attempt is given.
func (p Policy) RetriesFor(c Class) int {
	if c >= NumClasses {
		return 0
	}
	if n := p.ClassRetries[c]; n >= 0 {
		return n
	}
	if c.Passes() {
		return max(p.Retries, 0)
	}
	return 0
}

// Passes reports whether failures of the class pass by themselves, so that
// trying the same deployment again is of use.
func (c Class) Passes() bool {
	switch c {
	case Connection, RateLimit, Overloaded, ServerError:
		return true
	default:
		return false
	}
}

// ShouldRetry reports whether it is of any use that a client tries the same
// request again later, for the X-Should-Retry header.
func ShouldRetry(c Class) bool {
	switch c {
	case Connection, Timeout, RateLimit, Overloaded, ServerError:
		return true
	default:
		return false
	}
}
