package state

import (
	"context"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// announcement is something that others are to know, and until when it matters.
type announcement struct {
	message message
	until   time.Time
}

// restoreMatters is how long the end of a cooldown is worth telling. Later, the
// others have found out, or have a newer cooldown that it would end.
const restoreMatters = 10 * time.Second

// Cooled tells the others of a cooldown.
func (m *member) Cooled(class retry.Class, left time.Duration) {
	if left = min(left, MaxCooldown); left < time.Millisecond {
		return
	}
	m.announce(message{kind: coolMessage, class: class}, left)
}

// Restored tells the others that the cooldown is over.
func (m *member) Restored() { m.announce(message{kind: restoredMessage}, restoreMatters) }

// announce leaves a message for the goroutine that shares. What has not been
// told of the same kind is old news.
func (m *member) announce(msg message, matters time.Duration) {
	m.mu.Lock()
	m.number++
	msg.sender, msg.number, msg.key = m.id, m.number, m.key
	a := &announcement{message: msg, until: time.Now().Add(matters)}
	if msg.kind == healthMessage {
		m.pending.health = a
	} else {
		m.pending.cooldown = a
	}
	m.mu.Unlock()
	select {
	case m.store.announce <- struct{}{}:
	default: // it is about to look anyway
	}
}

// telling is an announcement on its way.
type telling struct {
	m *member
	a *announcement
	c *call
}

// tell sends what is to be told. What could not be sent stays for the next time.
func (s *Redis) tell(ctx context.Context) error {
	now := time.Now()
	s.round.members = s.attached(s.round.members)
	var all []telling
	var calls []*call
	for _, m := range s.round.members {
		for _, a := range m.announcements() {
			left := a.until.Sub(now)
			if left < time.Millisecond {
				m.done(a)
				continue
			}
			t := telling{m, a, m.tellCall(a.message, left)}
			all, calls = append(all, t), append(calls, t.c)
		}
	}
	if len(calls) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	runAll(ctx, s.client, calls)
	var failure error
	for _, t := range all {
		if err := t.c.reply.Err(); err != nil {
			failure = err
			continue
		}
		t.m.done(t.a)
	}
	return failure
}

func (m *member) tellCall(msg message, left time.Duration) *call {
	if msg.kind != restoredMessage {
		msg.last = left
	}
	args := []any{m.store.channel, msg.String(), msg.value(), msg.last.Milliseconds()}
	if msg.kind == healthMessage {
		return &call{script: healthScript, key: m.healthKey, args: args}
	}
	return &call{script: cooldownScript, key: m.coolKey, args: append(args, MaxCooldown.Milliseconds())}
}

// announcements are those that have not been told.
func (m *member) announcements() (all []*announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range []*announcement{m.pending.cooldown, m.pending.health} {
		if a != nil {
			all = append(all, a)
		}
	}
	return all
}

// done forgets an announcement, unless there is a newer one by now.
func (m *member) done(a *announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending.cooldown == a {
		m.pending.cooldown = nil
	}
	if m.pending.health == a {
		m.pending.health = nil
	}
}
