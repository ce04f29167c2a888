package state

import (
	"context"
	"time"
)

// healthResult is what a health check found, and until when it is believed.
type healthResult struct {
	well  bool
	found time.Time
	until time.Time
}

// Lead asks for the lease, or for more of it.
func (m *member) Lead(ctx context.Context, lease time.Duration) (bool, error) {
	s := m.store
	if !s.Up() {
		return false, ErrDown
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	c := &call{script: leadScript, key: m.leadKey, args: []any{s.origin, max(lease.Milliseconds(), 1)}}
	run(ctx, s.client, c)
	n, err := c.reply.Int64()
	if wrongType(err) {
		s.foreign(m.leadKey, 1)
		return false, ErrForeign
	}
	return n == 1, err
}

// Result is what a health check found last.
func (m *member) Result() (healthy bool, age time.Duration, ok bool) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.result
	return r.well, now.Sub(r.found), now.Before(r.until)
}

// PublishResult tells the others what a health check found.
func (m *member) PublishResult(healthy bool, believed time.Duration) {
	believed = min(believed, MaxCooldown)
	if believed < time.Millisecond {
		return
	}
	m.keepResult(healthy, time.Now(), believed)
	m.announce(message{kind: healthMessage, well: healthy}, believed)
}

// keepResult keeps a result unless there is a newer one.
func (m *member) keepResult(well bool, found time.Time, believed time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !found.Before(m.result.found) {
		m.result = healthResult{well, found, found.Add(believed)}
	}
}
