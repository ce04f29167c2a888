package selection

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Headroom is what a deployment's own answers say is left of its provider's
// limits, so that it is left alone before it has to refuse. The zero Headroom
// knows nothing, and then costs a request two counts. It is safe for concurrent
// use and must not be copied.
type Headroom struct {
	known      atomic.Bool
	sent       atomic.Int64 // requests, ever
	sentTokens atomic.Int64

	mu       sync.Mutex // protects what follows
	requests belief
	tokens   belief
}

// belief is what is believed of one limit: how much was left at a time, and how
// it comes back. Providers let it come back evenly until all of it is there; how
// fast can be told where the limit is stated, elsewhere all comes back at the end.
type belief struct {
	left, limit float64
	perSecond   float64
	at, until   time.Time
	mark        int64 // what had been sent when the answer's own request was
}

// maxBelieved bounds for how long an answer is believed.
const maxBelieved = 5 * time.Minute

// Mark is what had been sent to a deployment when a request was; later requests
// are not in what its answer says is left.
type Mark struct{ requests, tokens int64 }

// Take counts a request of so many tokens, which is about to be sent.
func (h *Headroom) Take(tokens int) Mark {
	return Mark{h.sent.Add(1), h.sentTokens.Add(int64(tokens))}
}

// Believe takes note of what the answer to a request says.
func (h *Headroom) Believe(now time.Time, m Mark, said retry.Headroom) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests.note(now, m.requests, said.Requests)
	h.tokens.note(now, m.tokens, said.Tokens)
	h.known.Store(true)
}

// note replaces the belief by one that is not older: answers overtake each other.
func (b *belief) note(now time.Time, mark int64, said retry.Left) {
	if !said.Known || mark < b.mark {
		return
	}
	reset := min(said.Reset, maxBelieved)
	*b = belief{left: float64(said.Remaining), limit: float64(said.Limit), at: now, until: now.Add(reset), mark: mark}
	if said.Limit > said.Remaining && said.Reset > 0 {
		b.perSecond = float64(said.Limit-said.Remaining) / said.Reset.Seconds()
	}
}

// Fits reports whether one more request of so many tokens is within what is left.
func (h *Headroom) Fits(now time.Time, tokens int) bool { return h.Wait(now, tokens) == 0 }

// Wait is how long it takes until a request of so many tokens is within what is
// left; at most five minutes.
func (h *Headroom) Wait(now time.Time, tokens int) time.Duration {
	if !h.known.Load() {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(h.requests.wait(now, h.sent.Load(), 1), h.tokens.wait(now, h.sentTokens.Load(), float64(tokens)))
}

// wait is the time until an amount is left, sent being what has been sent ever.
// An amount beyond the limit has to do with nearly all of it.
func (b *belief) wait(now time.Time, sent int64, amount float64) time.Duration {
	if !now.Before(b.until) {
		return 0
	}
	if b.limit > 0 {
		amount = min(amount, nearlyAll*b.limit)
	}
	missing := amount - (b.left - float64(sent-b.mark) + b.perSecond*now.Sub(b.at).Seconds())
	switch {
	case missing <= 0:
		return 0
	case b.perSecond > 0:
		return min(time.Duration(missing/b.perSecond*float64(time.Second))+time.Nanosecond, b.until.Sub(now))
	}
	return b.until.Sub(now)
}

// nearlyAll is the share of a limit that has to be left for a request that
// takes more than all of it by estimate.
const nearlyAll = 0.9
