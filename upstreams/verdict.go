package upstreams

import (
	"sync/atomic"
	"time"
)

// verdict is what active health checks say of a deployment, for as long as it
// can be believed.
type verdict struct {
	// healthy is the result of Caddy's checks.
	healthy func() bool
	// believed is how long a result holds without another one. A check that
	// hangs, or a checker that has stopped, must not keep a deployment out.
	believed time.Duration
	now      func() time.Time
	// ended is when the last check ended; nil before the first.
	ended atomic.Pointer[time.Time]
}

// usable tells whether requests may go to the deployment: it is healthy, or
// nothing recent is known.
func (v *verdict) usable() bool {
	if v.healthy() {
		return true
	}
	ended := v.ended.Load()
	return ended == nil || v.now().Sub(*ended) > v.believed
}

// note says that a check ended so long ago, however it did.
func (v *verdict) note(ago time.Duration) {
	ended := v.now().Add(-ago)
	v.ended.Store(&ended)
}
