package health

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Ticket stands for one attempt between its begin and its outcome. Exactly one
// of Succeed, Fail and Release settles it; whatever follows does nothing, so
// that a deferred Release is always right. The zero Ticket is settled. A
// Ticket belongs to one goroutine at a time and must not be copied once used.
type Ticket struct {
	cooldown *Cooldown // nil once settled
	spell    uint64
	probe    bool
}

// Failure is what is known about a failed attempt.
type Failure struct {
	// Class is the meaning of the failure.
	Class retry.Class
	// Wait is how long the upstream asked to be left alone, if Stated.
	Wait time.Duration
	// Stated says that Wait comes from the upstream itself. A Wait that is
	// not positive counts as not stated.
	Stated bool
	// Spare tells whether selection can do without the deployment, so that
	// counts, rates and a rate limit without a stated wait may cool it. It is
	// called only if that decides, and under the deployment's lock: it may
	// read any Cooldown but change none. Nil is true.
	Spare func() bool
}

// Effect is what an outcome did to the deployment.
type Effect struct {
	// Cooled says that a cooldown began, or that the end of one moved.
	Cooled bool
	// For is the time from now to that end.
	For time.Duration
	// Recovered says that the deployment is back after a cooldown.
	Recovered bool
}

// Probes reports whether the attempt finds out if the deployment is back.
func (t *Ticket) Probes() bool { return t.cooldown != nil && t.probe }

// Answered tells, before the attempt is over, that the deployment has given
// the begin of a good answer. A probe has then done its work and need not keep
// others away while a long answer streams; the ticket goes on as an ordinary
// one and is still to be settled. It reports whether the deployment recovered.
func (t *Ticket) Answered(now time.Time) (recovered bool) {
	if !t.Probes() {
		return false
	}
	spell, ok := t.cooldown.endProbe(instant(now), t.spell)
	if ok {
		t.spell, t.probe = spell, false
	}
	return ok
}

// Succeed settles the ticket with a good answer and reports whether the
// deployment recovered by it. Only a probe ends a cooldown.
func (t *Ticket) Succeed(now time.Time) (recovered bool) {
	c := t.settle()
	switch {
	case c == nil:
		return false
	case t.probe:
		_, recovered = c.endProbe(instant(now), t.spell)
	case t.speaks(c.spell.Load()):
		c.window().Add(now, retry.None)
	}
	return recovered
}

// Fail settles the ticket with a failure. A class that does not blame the
// deployment is no failure here: the server answered, which is a probe's
// success, and nothing is counted. Canceled is Release.
func (t *Ticket) Fail(now time.Time, f Failure) Effect {
	switch {
	case f.Class == retry.Canceled:
		t.Release()
		return Effect{}
	case f.Class == retry.None:
		return Effect{Recovered: t.Succeed(now)}
	case !f.Class.Blames():
		recovered := t.Answered(now)
		t.Release()
		return Effect{Recovered: recovered}
	}
	c := t.settle()
	if c == nil {
		return Effect{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cool(instant(now), f.Class, c.sentence(t, now, f))
}

// Release settles the ticket without an outcome, for instance because the
// client went away. A probe gives its slot back.
func (t *Ticket) Release() {
	if c := t.settle(); c != nil && t.probe {
		c.freeProbe(t.spell)
	}
}

func (t *Ticket) settle() *Cooldown {
	c := t.cooldown
	t.cooldown = nil
	return c
}

// speaks reports whether the attempt speaks for the present: it is an ordinary
// one of the good spell that still lasts, or the probe of the half-open time.
func (t *Ticket) speaks(spell uint64) bool {
	return t.spell == spell && t.probe != good(spell)
}
