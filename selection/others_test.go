package selection

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// told is what other instances heard.
type told []string

func (o *told) Cooled(class retry.Class, left time.Duration) {
	*o = append(*o, fmt.Sprint(class, " ", left))
}

func (o *told) Restored() { *o = append(*o, "restored") }

func TestTell(t *testing.T) {
	var others told
	c := NewCandidate("a", new(State))
	effects := []health.Effect{{}, {Cooled: true, For: time.Second}, {Recovered: true}}
	for _, e := range effects {
		c.Tell(retry.Quota, e) // nobody is there
	}
	c.Others = &others
	for _, e := range effects {
		c.Tell(retry.Quota, e)
	}
	if want := []string{"quota 1s", "restored"}; !slices.Equal(others, want) {
		t.Errorf("got %q told, want %q", others, want)
	}
}

func TestCooldownOfOthers(t *testing.T) {
	s := new(State)
	c := s.Record.Under(nil)
	off := health.DefaultConfig()
	off.Off = true
	s.CoolUntil(noon, retry.RateLimit, time.Minute)
	s.CoolUntil(noon, retry.Auth, time.Second) // ends earlier
	if got := c.Remaining(noon); got != time.Minute || c.Reason() != retry.RateLimit {
		t.Errorf("got %v left for %v, want a minute for rate_limit", got, c.Reason())
	}
	if !s.Record.Under(off).Usable(noon) {
		t.Error("it cools where cooldowns are off")
	}
	var waiter bell
	s.Listen(&waiter)
	s.Restored(noon)
	if !c.Usable(noon) || waiter.rang.Load() != 1 {
		t.Errorf("usable %v, and %d told who wait for it; want it usable, and one", c.Usable(noon), waiter.rang.Load())
	}
	s.Restored(noon)
	if waiter.rang.Load() != 1 {
		t.Error("the end of no cooldown is told to those who wait")
	}
}
