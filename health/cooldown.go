// Package health knows which deployments to leave out of selection because of
// their own failures, and for how long: a state machine per deployment with a
// sliding window of outcomes, half-open probing and slow start. It knows no
// transport; time is always a parameter.
package health

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// State is what a cooldown means for selection.
type State uint8

const (
	// Usable can be selected. After a cooldown has ended it is Usable until
	// somebody begins: that request is the probe.
	Usable State = iota
	// Cooling is left out until its deadline.
	Cooling
	// Probing is half-open: the cooldown has ended and one live request finds
	// out whether the deployment is back. All others go elsewhere.
	Probing
)

// String is the name of the state in logs and metrics.
func (s State) String() string {
	switch s {
	case Usable:
		return "usable"
	case Cooling:
		return "cooling"
	case Probing:
		return "probing"
	}
	return "unknown"
}

// Record is what is remembered of one deployment's failures, whatever a
// configuration makes of it: it goes on when another one is loaded. The zero
// Record is that of a deployment that has not failed yet. It is safe for
// concurrent use and must not be copied.
type Record struct {
	win atomic.Pointer[Window]

	// spell numbers the stretches between two changes of state: even ones are
	// good, odd ones are a cooldown with the half-open time after it. A ticket
	// remembers its spell, so that what began before a change cannot speak for
	// the time after it.
	spell      atomic.Uint64
	until      atomic.Int64 // end of the cooldown; only odd spells read it
	probeSince atomic.Int64 // begin of the probe in flight, or unset
	rampSince  atomic.Int64 // last recovery, or unset
	reason     atomic.Uint32

	mu     sync.Mutex    // held by whoever changes the spell, the window or what is below
	length time.Duration // of the last cooldown, for growth
}

// Under gives the record as a configuration reads it. A nil cfg is the default.
// The configuration is copied. Several may read one record: a running cooldown
// keeps its end, except that it is none for a configuration that is Off, and
// counts begin anew when the Window has another length.
func (r *Record) Under(cfg *Config) *Cooldown {
	return &Cooldown{cfg: cfg.normalized(), Record: r}
}

// Cooldown leaves one deployment out because of its own failures, by one
// configuration. It is safe for concurrent use. As long as the deployment does
// well nothing here takes a lock; readers never do.
type Cooldown struct {
	cfg *Config
	*Record
}

// New makes the cooldown of a deployment that has not failed yet, with a record
// of its own.
func New(cfg *Config) *Cooldown { return new(Record).Under(cfg) }

// State tells the state at now.
func (c *Cooldown) State(now time.Time) State {
	state, _ := c.look(instant(now))
	return state
}

// Usable reports whether the deployment can be selected: it does well, or its
// cooldown has ended and no probe is in flight.
func (c *Cooldown) Usable(now time.Time) bool {
	return c.Well() || c.State(now) == Usable
}

// Well reports whether there is no cooldown, as there nearly always is none, nor a
// probe after one. It needs no clock, and is inlined.
func (r *Record) Well() bool { return good(r.spell.Load()) }

// Remaining is the time left of a cooldown, zero when there is none. It is
// zero too while a probe is in flight, whose end nobody knows.
func (c *Cooldown) Remaining(now time.Time) time.Duration {
	t := instant(now)
	if state, until := c.look(t); state == Cooling {
		return time.Duration(until - t)
	}
	return 0
}

// Reason is the class that caused the last cooldown, or None before the first.
func (r *Record) Reason() retry.Class { return retry.Class(r.reason.Load()) }

// Counts sums up the outcomes that the next failure will be judged with.
func (c *Cooldown) Counts(now time.Time) Counts { return c.window().Counts(now) }

// Begin is called right before an attempt. It reports false when the attempt
// must not go out: the deployment cools, or another request probes it. The
// first to begin after a cooldown becomes its probe. A ticket must be settled.
func (c *Cooldown) Begin(now time.Time) (Ticket, bool) {
	if spell := c.spell.Load(); good(spell) || c.cfg.Off {
		return Ticket{cooldown: c, spell: spell}, true
	}
	return c.beginProbe(instant(now))
}

// BeginForced is Begin for an attempt that goes out in any case. Where Begin
// would have refused, the attempt is not a probe: its success does not end the
// cooldown, and its failure only counts for a stated wait.
func (c *Cooldown) BeginForced(now time.Time) Ticket {
	if t, ok := c.Begin(now); ok {
		return t
	}
	return Ticket{cooldown: c, spell: c.spell.Load()}
}

// Cool imposes a cooldown of length d from outside, such as one that another
// instance has published or an operator asked for. Max does not bound it. Of
// this and a running cooldown the later end holds; a probe in flight loses its
// say. It does nothing when cooldowns are off.
func (c *Cooldown) Cool(now time.Time, class retry.Class, d time.Duration) Effect {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg.Off {
		return Effect{}
	}
	return c.cool(instant(now), class, d)
}

// Restore ends a cooldown from outside just as a successful probe does, and
// reports whether there was one.
func (c *Cooldown) Restore(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if good(c.spell.Load()) {
		return false
	}
	c.restore(instant(now))
	return true
}

// window holds the outcomes that failures are judged with. It begins empty, also
// where a configuration wants another length than the last one did.
func (c *Cooldown) window() *Window {
	win := c.win.Load()
	if win != nil && win.width == bucketWidth(c.cfg.Window) {
		return win
	}
	if fresh := NewWindow(c.cfg.Window); c.win.CompareAndSwap(win, fresh) {
		return fresh
	}
	return c.win.Load()
}

func good(spell uint64) bool { return spell&1 == 0 }

// look reads state and deadline without a lock. Writers change the spell last,
// so an unchanged one means that the words between belong together.
func (c *Cooldown) look(now int64) (State, int64) {
	for {
		spell := c.spell.Load()
		if good(spell) || c.cfg.Off {
			return Usable, 0
		}
		until, probe := c.until.Load(), c.probeSince.Load()
		if c.spell.Load() != spell {
			continue
		}
		switch {
		case now < until:
			return Cooling, until
		case probe != unset && now-probe < int64(c.cfg.ProbeTimeout):
			return Probing, until
		}
		return Usable, until
	}
}
