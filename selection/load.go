package selection

import "sync/atomic"

// load is what a deployment is carrying, apart from the number of requests.
type load struct {
	tokens     atomic.Int64 // of all prompts
	unanswered atomic.Int64 // requests
	unread     atomic.Int64 // tokens of their prompts
}

// InFlightTokens is the size of the prompts that the deployment is carrying.
func (s *State) InFlightTokens() int64 { return s.load.tokens.Load() }

// Unanswered is the number of requests in flight whose answers have not begun,
// and how many tokens of their prompts have to be read, as far as those are known
// that are in a cache.
func (s *State) Unanswered() (requests, tokens int64) {
	return s.load.unanswered.Load(), s.load.unread.Load()
}

// Carried is a request that a deployment carries, from when it is sent to the end
// of its answer. The zero Carried is none. It belongs to one goroutine at a time.
type Carried struct {
	state          *State // nil once it has ended
	tokens, unread int64
	answered       bool
}

// Carry counts a request with a prompt of so many tokens, of which unread are in no
// cache. Each must be followed by one End.
func (s *State) Carry(tokens, unread int) Carried {
	c := Carried{state: s, tokens: int64(tokens), unread: int64(unread)}
	s.load.tokens.Add(c.tokens)
	s.load.unread.Add(c.unread)
	s.load.unanswered.Add(1)
	return c
}

// Answered notes that the answer has begun; false when that is known already.
func (c *Carried) Answered() bool {
	if c.state == nil || c.answered {
		return false
	}
	c.answered = true
	c.state.load.unanswered.Add(-1)
	c.state.load.unread.Add(-c.unread)
	return true
}

// End notes that the request is over. A second call does nothing.
func (c *Carried) End() {
	if c.state == nil {
		return
	}
	c.Answered()
	c.state.load.tokens.Add(-c.tokens)
	c.state = nil
}
