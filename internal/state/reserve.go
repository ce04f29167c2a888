package state

import (
	"context"
	"errors"
	"time"
)

// Reserve asks Redis whether the request fits, and takes it out of the limits if
// so.
func (m *member) Reserve(ctx context.Context, rpm, tpm, tokens int64) (ok bool, wait time.Duration, err error) {
	s := m.store
	now := time.Now()
	m.touch(now)
	if s.breaker.down() {
		return false, 0, ErrDown
	}
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	c := &call{script: minuteScript, key: m.useKey, args: reserveArgs(m.id, m.deadline(now), rpm, tpm, tokens)}
	run(bounded, s.client, c)
	text, err := c.reply.Text()
	var answer minuteReply
	if err == nil {
		answer, err = parseMinute(text, nil)
	}
	switch {
	case err == nil:
		s.foreign(m.useKey, answer.foreign)
		s.breaker.misses.Store(0)
		return answer.ok, answer.wait, nil
	case ctx.Err() != nil: // the client went away, which says nothing of Redis
		return false, 0, ctx.Err()
	case wrongType(err), errors.Is(err, ErrForeign):
		s.foreign(m.useKey, 1)
		return false, 0, ErrForeign
	}
	s.stats.failures.Add(1)
	s.breaker.miss(time.Now(), err)
	return false, 0, err
}

// reserveArgs are those of a single request that must fit. Without any limit it
// is only counted.
func reserveArgs(id string, deadline, rpm, tpm, tokens int64) []any {
	return []any{id, 0, deadline, max(rpm, 0), max(tpm, 0), 0, 1, min(max(tokens, 0), maxBatch)}
}

// deadline is when nobody waits for a reservation any more, by the clock of the
// server: one that a slow or frozen Redis comes to later takes nothing.
func (m *member) deadline(now time.Time) int64 {
	offset := m.offset.Load()
	if offset == 0 {
		return 0
	}
	return now.Add(m.store.options.Timeout).UnixMicro() + offset
}
