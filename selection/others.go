package selection

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// Others are the other instances that send to a deployment, as far as its
// cooldowns concern them. Its methods are called on the goroutine of a request
// and must not block.
type Others interface {
	// Cooled tells them that the deployment cools down for so long from now on.
	Cooled(class retry.Class, left time.Duration)
	// Restored tells them that its cooldown is over.
	Restored()
}

// Tell lets the other instances know what an attempt that ended with class did
// to the deployment's cooldown, where there are any.
func (c *Candidate) Tell(class retry.Class, effect health.Effect) {
	switch {
	case c.Others == nil:
	case effect.Cooled:
		c.Others.Cooled(class, effect.For)
	case effect.Recovered:
		c.Others.Restored()
	}
}

// CoolUntil takes in a cooldown that another instance has told of. It holds for
// every configuration that has cooldowns; one that has turned them off does not
// see it.
func (s *State) CoolUntil(now time.Time, class retry.Class, left time.Duration) {
	s.Record.Under(nil).Cool(now, class, left)
}

// Restored takes in that another instance has ended the cooldown, for which
// requests may be waiting.
func (s *State) Restored(now time.Time) {
	if s.Record.Under(nil).Restore(now) {
		s.tellListeners()
	}
}

// Counts reports whether anything is shared of the Minute.
func (s *State) Counts() bool { return s.Minute.shares() }

// TakeSpent is that of the Minute.
func (s *State) TakeSpent(now time.Time, dst []Spent) []Spent { return s.Minute.TakeSpent(now, dst) }

// Untake is that of the Minute.
func (s *State) Untake(now time.Time, spent []Spent) { s.Minute.Untake(now, spent) }

// SetShared is that of the Minute.
func (s *State) SetShared(began time.Time, minute []Spent) { s.Minute.SetShared(began, minute) }
