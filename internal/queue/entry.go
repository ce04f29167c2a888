package queue

import "time"

// Entry is one request that wants to wait.
type Entry struct {
	// Priority is how important the request is; smaller is more so. Values beyond
	// a million on either side count as a million.
	Priority int

	// Team is whom the request is for. Those without a team are a team, too.
	Team string

	// Tokens is an estimate of what the request will use. It decides about
	// nothing but the shares of teams. Less than 1 counts as 1, more than 2^30 as
	// that.
	Tokens int64

	// Kind says who can use the same capacity. When Take fails for one, nobody
	// else of its kind is tried until something has changed, so requests of one
	// kind must be those of which either all can be served or none. It must be
	// comparable. Nil is a kind like any other.
	Kind any

	// Size is how many may wait, this one included. Where more wait already,
	// since the bound was a larger one, they may stay.
	Size int

	// Timeout is how long the request may wait.
	Timeout time.Duration

	// Take tries to take capacity for the request and tells whether it has. It is
	// called by any goroutine, one at a time in a Queue, only before Wait returns;
	// what it writes can be read after that. A lock is held meanwhile: it must
	// neither block nor call the Queue, nor take a lock under which Dispatch or
	// Wait is called. If it panics, Wait does.
	Take func() bool

	// Next tells in how long something may free by itself for the request, such
	// as a cooldown that ends; false when nothing will that is known of. It is
	// called as Take is, after Take has failed. Nil is always false.
	Next func(now time.Time) (time.Duration, bool)
}

// Result is how a wait ended.
type Result uint8

const (
	// Taken means that Take has succeeded. Whatever happens to the request from
	// here on, what was taken has to be released.
	Taken Result = iota + 1
	// Refused means that the queue is full of what is as important or more so.
	Refused
	// Shed means that the request has made way for a more important one, or for
	// one of a team with fewer waiters.
	Shed
	// TimedOut means that Entry.Timeout has passed.
	TimedOut
	// Canceled means that the context has ended.
	Canceled
)

// String is the result in a word, for logs and labels.
func (r Result) String() string {
	switch r {
	case Taken:
		return "taken"
	case Refused:
		return "refused"
	case Shed:
		return "shed"
	case TimedOut:
		return "timed_out"
	case Canceled:
		return "canceled"
	}
	return "unknown"
}

// Outcome is what came of a wait.
type Outcome struct {
	Result Result

	// Predicted is how long a request like this one would have to wait if it came
	// again now: for those who would be ahead of it to be served at the pace of
	// the last 32 who waited, but not less than until something frees by itself
	// for its kind, and never less than a second. The part that comes from the
	// pace is at most an hour. Zero for Taken and Canceled.
	Predicted time.Duration
}
