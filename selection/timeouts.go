package selection

import "time"

// Timeouts bound one attempt on a deployment; 0 leaves it to the pool.
type Timeouts struct {
	// Whole bounds an attempt that does not stream.
	Whole time.Duration
	// FirstToken bounds a streamed attempt until its first content event.
	FirstToken time.Duration
	// Idle bounds the silence inside an answer that has begun.
	Idle time.Duration
}
