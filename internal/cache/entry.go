package cache

import "time"

// Entry is an answer that is kept. It is not changed any more.
type Entry struct {
	// ContentType is the answer's, with its parameters.
	ContentType string
	// Deployment is the id of the one that gave the answer.
	Deployment string
	// Body is what the client got.
	Body []byte
	// Stored is when the answer was complete, Expires when it is too old.
	Stored, Expires time.Time
}

// entryOverhead is about what an entry takes in memory beside its texts, in bytes.
const entryOverhead = 256

func (e *Entry) size() int {
	return entryOverhead + len(e.ContentType) + len(e.Deployment) + len(e.Body)
}

// Fresh tells whether the entry may still be given out, to somebody who wants
// nothing older than maxAge; negative is any age.
func (e *Entry) Fresh(now time.Time, maxAge time.Duration) bool {
	return now.Before(e.Expires) && (maxAge < 0 || e.Age(now) <= maxAge)
}

// Age is how long ago the answer was complete. Clocks of several machines differ,
// so that it may be of the future; its age is 0 then.
func (e *Entry) Age(now time.Time) time.Duration { return max(now.Sub(e.Stored), 0) }
