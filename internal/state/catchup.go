package state

import (
	"context"
	"time"
)

// catchUp reads from the keys what may not have been heard.
func (s *Redis) catchUp(ctx context.Context) error {
	s.round.members = s.attached(s.round.members)
	calls := make([]*call, 0, 2*len(s.round.members))
	for _, m := range s.round.members {
		for _, key := range []string{m.coolKey, m.healthKey} {
			calls = append(calls, &call{script: storedScript, key: key, args: []any{maxMessage}})
		}
	}
	if len(calls) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	runAll(ctx, s.client, calls)
	now := time.Now()
	var failure error
	for i, c := range calls {
		text, err := c.reply.Text()
		if err == nil && text == "" {
			continue
		}
		var msg message
		var left time.Duration
		if err == nil {
			msg, left, err = parseStored(text)
		}
		m := s.round.members[i/2]
		switch {
		case wrongType(err), err == ErrForeign, err == nil && (msg.kind == healthMessage) != (c.key == m.healthKey):
			s.foreign(c.key, 1)
		case err != nil:
			failure = err
		default:
			m.learn(now, msg, msg.last-left)
		}
	}
	return failure
}

// parseStored reads what stored.lua answers: a message, and how long it is still
// to be believed.
func parseStored(text string) (msg message, left time.Duration, err error) {
	ms, value, ok := nextNumber(text, 0, MaxCooldown.Milliseconds())
	if !ok {
		return message{}, 0, ErrForeign
	}
	msg, err = parseValue(value)
	left = time.Duration(ms) * time.Millisecond
	if err != nil || left > msg.last || msg.kind == restoredMessage {
		return message{}, 0, ErrForeign
	}
	return msg, left, nil
}
