package health

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// maxCooldown keeps a deadline within the 64 bits of an instant.
const maxCooldown = 100 * 365 * 24 * time.Hour

// beginProbe makes the caller the probe if the cooldown has ended and no other
// probe is in flight, or the one in flight has had its time.
func (c *Cooldown) beginProbe(now int64) (Ticket, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if spell := c.spell.Load(); good(spell) {
		return Ticket{cooldown: c, spell: spell}, true
	}
	if state, _ := c.look(now); state != Usable {
		return Ticket{}, false
	}
	c.probeSince.Store(now)
	return Ticket{cooldown: c, spell: c.spell.Add(2), probe: true}, true
}

// endProbe settles the probe of the given spell as good and tells the spell
// that begins with it. It reports false if that probe has lost its say.
func (c *Cooldown) endProbe(now int64, spell uint64) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spell.Load() != spell {
		return 0, false
	}
	return c.restore(now), true
}

// freeProbe gives the slot of the given spell's probe back; the next request
// probes.
func (c *Cooldown) freeProbe(spell uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.spell.Load() == spell {
		c.vacate()
	}
}

// vacate empties the probe's slot. The caller holds mu.
func (c *Cooldown) vacate() {
	c.probeSince.Store(unset)
	c.spell.Add(2)
}

// cool starts a cooldown or moves the end of a running one, unless that end is
// later already. The caller holds mu.
func (c *Cooldown) cool(now int64, class retry.Class, d time.Duration) Effect {
	if d <= 0 {
		return Effect{}
	}
	d = min(d, maxCooldown)
	until, step := now+int64(d), uint64(1)
	if !good(c.spell.Load()) {
		if until <= c.until.Load() {
			return Effect{}
		}
		step = 2
	}
	c.until.Store(until)
	c.probeSince.Store(unset)
	c.rampSince.Store(unset)
	c.reason.Store(uint32(class))
	c.length = d
	c.spell.Add(step)
	return Effect{Cooled: true, For: d}
}

// restore starts a good spell with an empty window, and slow start unless now
// is unset, and tells its number. The caller holds mu and has seen a bad one.
func (c *Cooldown) restore(now int64) uint64 {
	c.win.Store(NewWindow(c.cfg.Window))
	c.probeSince.Store(unset)
	c.rampSince.Store(now)
	return c.spell.Add(1)
}
