package cache

import (
	"context"
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// maxFollowed is how much of a stream is kept for those who follow it although it is
// too long to be kept when it is over, in bytes.
const maxFollowed = 64 << 20

// Flight is an answer on its way from an upstream to several clients who have asked
// the same at the same time. The first of them leads: it makes the call and writes
// what comes. The others follow: a stream as it grows, anything else at its end.
// When the leader's client goes away the call goes on as long as somebody follows.
// It is safe for concurrent use; each method says who calls it.
type Flight struct {
	maxItem int
	abandon context.CancelFunc // ends the leader's call

	mu        sync.Mutex // protects what follows
	changed   chan struct{}
	head      Head
	began     bool // head is known
	body      []byte
	gone      bool // body is not whole any more
	closed    bool // nobody may join
	ended     bool
	class     retry.Class
	followers int
	left      bool // the leader's client
}

// Head is what is known of an answer before its body.
type Head struct {
	ContentType, Deployment string
	// Stream tells that the answer is a stream of events.
	Stream bool
	// Stored is when the answer, or the oldest part of it, was complete; zero where all
	// of it is new.
	Stored time.Time
}

// Age is how old the answer is, as an Entry's is.
func (h *Head) Age(now time.Time) time.Duration {
	if h.Stored.IsZero() {
		return 0
	}
	return max(now.Sub(h.Stored), 0)
}

// NewFlight is a flight that nobody can find, of an answer that is kept up to maxItem
// bytes.
func NewFlight(maxItem int) *Flight { return &Flight{maxItem: maxItem} }

// Lead says how the leader's call is ended when nobody waits for it any more. The
// leader calls it before anything else.
func (f *Flight) Lead(abandon context.CancelFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abandon = abandon
	f.release()
}

// Begin says that the answer is good so far. The leader calls it before Write.
func (f *Flight) Begin(head Head) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head, f.began = head, true
	f.tell()
}

// Write adds to the answer.
func (f *Flight) Write(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.gone || !f.began {
		return
	}
	if len(f.body)+len(p) > f.maxItem {
		f.closed = true
		if !f.head.Stream || f.followers == 0 || len(f.body)+len(p) > maxFollowed {
			f.drop()
			return
		}
	}
	f.body = append(f.body, p...)
	f.tell()
}

// Fill gives those who follow an answer that was found elsewhere.
func (f *Flight) Fill(e *Entry) {
	stream, _ := Keepable(e.ContentType)
	f.Begin(Head{ContentType: e.ContentType, Deployment: e.Deployment, Stream: stream, Stored: e.Stored})
	f.mu.Lock()
	f.body = e.Body
	f.mu.Unlock()
	f.End(retry.None)
}

// Refuse says that the answer is not to be shared: those who wait ask for
// themselves. The leader calls it instead of Begin, or later.
func (f *Flight) Refuse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop()
}

func (f *Flight) drop() {
	f.body, f.gone, f.closed = nil, true, true
	f.tell()
}

// Whole is the answer that the leader has written, where it can be kept. The leader
// keeps it before it calls End, so that nobody finds neither.
func (f *Flight) Whole() (body []byte, head Head, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body, f.head, f.began && !f.gone && !f.ended && len(f.body) <= f.maxItem
}

// End says how the answer ended. The first call counts.
func (f *Flight) End(class retry.Class) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return
	}
	f.ended, f.closed, f.class = true, true, class
	f.tell()
}

// Leave says that the leader's client has gone.
func (f *Flight) Leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
	f.release()
}

// Followed tells whether the leader is to go on although its client has gone.
func (f *Flight) Followed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = true
	f.release()
	return f.followers > 0
}

// release ends the leader's call if nobody waits for it.
func (f *Flight) release() {
	if f.left && f.followers == 0 && f.abandon != nil {
		f.closed = true
		f.abandon()
	}
}

// tell wakes those who follow.
func (f *Flight) tell() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// join adds a follower; false when it is too late for that.
func (f *Flight) join() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.followers++
	return true
}

// Unfollow says that a follower does not wait any more. Each calls it once.
func (f *Flight) Unfollow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers--
	f.release()
	if f.followers == 0 && len(f.body) > f.maxItem {
		f.drop()
	}
}
