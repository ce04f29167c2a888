package state

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// listenCheck is how long the channel may be silent before the connection is
// tried, and made anew when it is dead.
const listenCheck = time.Second

// listen hears what others tell, until it is canceled. The client library
// connects and subscribes again by itself, as often as it takes.
func (s *Redis) listen(ctx context.Context) {
	sub := s.client.Subscribe(ctx, s.channel, s.sessions)
	defer sub.Close()
	heard := sub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(listenCheck))
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-heard:
			switch m := m.(type) {
			case *redis.Subscription: // what was told before it is only in the keys
				s.reconcile.Store(true)
				s.subscribed.Store(true)
			case *redis.Message:
				if m.Channel == s.sessions {
					s.hearSession(time.Now(), m.Payload)
				} else {
					s.hear(time.Now(), m.Payload)
				}
			}
			if !ok {
				return
			}
		}
	}
}

// hear passes a message on to the members that it is about, but for the one that
// it is from.
func (s *Redis) hear(now time.Time, text string) {
	msg, err := parseMessage(text)
	if err != nil {
		s.foreign(s.channel, 1)
		return
	}
	for _, m := range s.named(msg.key) {
		m.learn(now, msg, 0)
	}
}

// learn takes in what another instance told, so long ago.
func (m *member) learn(now time.Time, msg message, ago time.Duration) {
	if msg.sender == m.id {
		return
	}
	switch msg.kind {
	case coolMessage:
		if left := msg.last - ago; left > 0 && m.isNews(msg) {
			m.d.CoolUntil(now, msg.class, left)
		}
	case restoredMessage:
		m.d.Restored(now)
	case healthMessage:
		m.keepResult(msg.well, now.Add(-ago), msg.last)
	}
}

// isNews reports whether a cooldown was not told here before. The key in Redis
// says it for as long as it lasts, also when it has been ended here meanwhile.
func (m *member) isNews(msg message) bool {
	name := msg.name()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.heard == name {
		return false
	}
	m.heard = name
	return true
}
