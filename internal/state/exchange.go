package state

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
)

const (
	reconcileEvery = 5 * time.Second
	pingEvery      = time.Second
	// A deployment with limits that was used here within activeFor has the minute
	// of all instances with every round, others every idleEvery.
	activeFor = 5 * time.Second
	idleEvery = 2 * time.Second
)

// round is what the goroutine that shares keeps from one round to the next.
type round struct {
	members    []*member
	calls      []*call
	due        []*member // the member of each call
	leaving    []*member
	minute     []Spent
	contact    time.Time // when Redis last answered
	reconciled time.Time

	changes  []affinity.Change
	tellings []sessionTelling // of sessions, what was not told yet
}

// exchange hands over what was used here and learns what was used everywhere. It is
// well when Redis has answered, and quickly enough for those that wait.
func (s *Redis) exchange(ctx context.Context) (well bool, err error) {
	s.noteLeaving()
	defer s.dropLeaving()
	now := time.Now()
	r := &s.round
	if s.reconcile.Swap(false) || now.Sub(r.reconciled) >= reconcileEvery {
		if err := s.catchUp(ctx); err != nil {
			s.reconcile.Store(true)
			return false, err
		}
		r.reconciled, r.contact = now, now
		now = time.Now()
	}
	s.collect(now)
	if len(r.calls) == 0 && now.Sub(r.contact) < pingEvery {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	runAll(ctx, s.client, r.calls)
	var failure error
	for i, m := range r.due {
		if err := s.settle(now, m, r.calls[i].reply); err != nil {
			failure = err
		}
	}
	if failure != nil {
		return false, failure
	}
	if len(r.calls) == 0 || s.breaker.tooSlow() {
		begin := time.Now()
		if err := s.client.Ping(ctx).Err(); err != nil {
			return false, err
		}
		if s.breaker.tooSlow() && time.Since(begin) > s.options.Timeout {
			return false, nil // it works, but not for those that wait
		}
	}
	r.contact = now
	return true, nil
}

// noteLeaving notes the members that this round is the last one of.
func (s *Redis) noteLeaving() {
	r := &s.round
	r.members, r.leaving = s.attached(r.members), r.leaving[:0]
	for _, m := range r.members {
		if m.leaving() {
			r.leaving = append(r.leaving, m)
		}
	}
}

// dropLeaving forgets them, unless somebody has attached to them meanwhile. What
// did not arrive is given back.
func (s *Redis) dropLeaving() {
	for _, m := range s.round.leaving {
		if s.forget(m) {
			m.batch.giveBack(time.Now(), m.d)
		}
	}
	clear(s.round.leaving)
}

// collect fills the round with a call for each deployment that needs one.
func (s *Redis) collect(now time.Time) {
	r := &s.round
	r.members = s.attached(r.members)
	r.calls, r.due = r.calls[:0], r.due[:0]
	for _, m := range r.members {
		b := &m.batch
		if b.take(now, m.d); len(b.spent) > 0 {
			m.touch(b.taken)
		}
		lately := now.Sub(time.Unix(0, m.active.Load())) < activeFor
		idle := now.Sub(b.asked) >= idleEvery
		wanted := m.d.Counts() && (lately || idle || m.leaving())
		if now.Before(b.shun) || len(b.spent) == 0 && !wanted {
			continue
		}
		b.asked = now
		r.due = append(r.due, m)
		r.calls = append(r.calls, m.minuteCall(now))
	}
}

// minuteCall hands over a member's batch.
func (m *member) minuteCall(now time.Time) *call {
	args := make([]any, 0, 5+6*len(m.batch.spent))
	args = append(args, m.id, m.batch.number, 0, 0, 0)
	return &call{script: minuteScript, key: m.useKey, args: m.batch.args(now, args)}
}

// settle takes in the answer for one member. A foreign value is no failure of
// Redis: that deployment goes on alone until the value is gone.
func (s *Redis) settle(sent time.Time, m *member, reply *redis.Cmd) error {
	text, err := reply.Text()
	var answer minuteReply
	if err == nil {
		answer, err = parseMinute(text, s.round.minute[:0])
		s.round.minute = answer.minute
	}
	switch {
	case wrongType(err), errors.Is(err, ErrForeign):
		s.foreign(m.useKey, 1)
		m.batch.shun = sent.Add(idleEvery)
		return nil
	case err != nil:
		return err
	}
	s.foreign(m.useKey, answer.foreign)
	m.offset.Store(answer.at - sent.UnixMicro())
	m.batch.spent = m.batch.spent[:0]
	intoSecond := time.Duration(answer.at%1e6) * time.Microsecond
	m.d.SetShared(time.Now().Add(-intoSecond), answer.minute)
	return nil
}
