package health

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// model is what the documentation says of a cooldown, in the plainest form:
// one goroutine, no numbering of spells. It does not know counts and rates;
// whether those cool is left to the Cooldown, within the bounds that hold for
// all of them.
type model struct {
	t     *testing.T
	c     *Cooldown
	cfg   *Config
	now   time.Time
	open  []*attempt
	probe *attempt // nil: none in flight
	since time.Time
	bad   bool // cooling or half-open
	until time.Time
}

type attempt struct {
	ticket Ticket
	good   bool // began in the good spell that still lasts
}

func (m *model) state() State {
	switch {
	case !m.bad:
		return Usable
	case m.now.Before(m.until):
		return Cooling
	case m.probe != nil && m.now.Sub(m.since) < m.cfg.ProbeTimeout:
		return Probing
	}
	return Usable
}

// turn changes the spell: nothing in flight speaks for the present any more.
func (m *model) turn(bad bool) {
	m.bad, m.probe = bad, nil
	for _, a := range m.open {
		a.good = false
	}
}

func (m *model) check(op string) {
	m.t.Helper()
	want := m.state()
	if got := m.c.State(m.now); got != want {
		m.t.Fatalf("%s: state %v, want %v", op, got, want)
	}
	if got := m.c.Usable(m.now); got != (want == Usable) {
		m.t.Fatalf("%s: usable %v in state %v", op, got, want)
	}
	left := time.Duration(0)
	if want == Cooling {
		left = m.until.Sub(m.now)
	}
	if got := m.c.Remaining(m.now); got != left {
		m.t.Fatalf("%s: remaining %v, want %v", op, got, left)
	}
}

func (m *model) begin(forced bool) {
	state, bad := m.state(), m.bad
	a := &attempt{good: !bad}
	if forced {
		a.ticket = m.c.BeginForced(m.now)
	} else {
		ticket, ok := m.c.Begin(m.now)
		if ok != (state == Usable) {
			m.t.Fatalf("begin: %v in state %v", ok, state)
		}
		if !ok {
			return
		}
		a.ticket = ticket
	}
	if state == Usable && bad {
		m.probe, m.since = a, m.now
	}
	m.open = append(m.open, a)
}

func (m *model) take(i int) *attempt {
	if len(m.open) == 0 {
		return &attempt{}
	}
	i %= len(m.open)
	a := m.open[i]
	m.open = append(m.open[:i], m.open[i+1:]...)
	return a
}

func (m *model) succeed(a *attempt) {
	probe := m.probe == a
	if got := a.ticket.Succeed(m.now); got != probe {
		m.t.Fatalf("success: recovered %v, of a probe %v", got, probe)
	}
	if probe {
		m.turn(false)
	}
}

func (m *model) release(a *attempt) {
	a.ticket.Release()
	if m.probe == a {
		m.probe = nil
	}
}

func (m *model) fail(a *attempt, f Failure) {
	zero := a.ticket == (Ticket{})
	probe := m.probe == a
	got := a.ticket.Fail(m.now, f)
	spare := f.Spare == nil || f.Spare()
	wait := time.Duration(0)
	if f.Stated {
		wait = min(f.Wait, m.cfg.Max)
	}
	end := m.now.Add(got.For)
	if want := probe && !f.Class.Blames() && f.Class != retry.Canceled; got.Recovered != want {
		m.t.Fatalf("%v: recovered %v, want %v", f.Class, got.Recovered, want)
	}
	if probe {
		m.probe = nil
	}
	if got.Recovered {
		m.turn(false)
	}
	if got.Cooled {
		switch soft := countable(f.Class) || f.Class == retry.RateLimit; {
		case zero || !f.Class.Blames():
			m.t.Fatalf("%v cooled", f.Class)
		case got.For <= 0 || got.For > max(m.cfg.Max, m.cfg.GrowthMax, m.cfg.Duration):
			m.t.Fatalf("%v: cooled for %v", f.Class, got.For)
		case m.bad && !end.After(m.until):
			m.t.Fatalf("%v: the end moved from %v to %v", f.Class, m.until, end)
		case !probe && !a.good && got.For != wait:
			m.t.Fatalf("%v: a late failure cooled for %v, stated %v", f.Class, got.For, wait)
		case soft && !spare && got.For != wait:
			m.t.Fatalf("%v: cooled for %v without a spare, stated %v", f.Class, got.For, wait)
		}
		m.turn(true)
		m.until = end
	} else if f.Class.Blames() && !zero {
		switch {
		case wait > 0 && !(m.bad && !m.now.Add(wait).After(m.until)):
			m.t.Fatalf("%v: a stated wait of %v is not believed", f.Class, wait)
		case probe && spare:
			m.t.Fatalf("%v: the failure of a probe has no effect", f.Class)
		case (probe || a.good) && !countable(f.Class) && f.Class != retry.RateLimit:
			m.t.Fatalf("%v does not cool", f.Class)
		}
	}
}

// run plays a sequence of events, four bytes each, and checks every step.
func (m *model) run(events []byte) {
	m.check("start")
	for len(events) >= 4 {
		op, x, y, z := events[0], int(events[1]), events[2], events[3]
		events = events[4:]
		class := retry.Class(y) % retry.NumClasses
		switch op % 12 {
		case 0, 1:
			m.now = m.now.Add(time.Duration(x) * 50 * time.Millisecond)
		case 2:
			m.now = m.now.Add(time.Duration(x) * time.Second)
		case 3, 4:
			m.begin(false)
		case 5:
			m.begin(true)
		case 6:
			m.succeed(m.take(x))
		case 7, 8:
			f := Failure{Class: class, Stated: z&1 == 0, Wait: time.Duration(z) * time.Duration(x) * 20 * time.Millisecond}
			if z&2 == 0 {
				f.Spare = func() bool { return z&4 == 0 }
			}
			m.fail(m.take(x), f)
		case 9:
			m.release(m.take(x))
		case 10:
			if d := time.Duration(x) * 100 * time.Millisecond; m.c.Cool(m.now, class, d).Cooled {
				m.turn(true)
				m.until = m.now.Add(d)
			} else if d > 0 && (!m.bad || m.now.Add(d).After(m.until)) {
				m.t.Fatalf("an order to cool for %v has no effect", d)
			}
		case 11:
			if x >= 32 {
				break // rarely, or nothing ever lasts
			}
			if got := m.c.Restore(m.now); got != m.bad {
				m.t.Fatalf("restore: got %v, want %v", got, m.bad)
			}
			if m.bad {
				m.turn(false)
			}
		}
		m.check("after an event")
	}
	// Whatever happened, the end of the cooldown and of a lost probe's time
	// opens the door again, and one good answer brings the deployment back.
	if m.bad && m.now.Before(m.until) {
		m.now = m.until
	}
	m.now = m.now.Add(m.cfg.ProbeTimeout)
	m.check("in the end")
	ticket, ok := m.c.Begin(m.now)
	if !ok {
		m.t.Fatal("never usable again")
	}
	ticket.Succeed(m.now)
	for range 2 {
		if _, ok := m.c.Begin(m.now); !ok {
			m.t.Fatal("not restored in the end")
		}
	}
}

func newModel(t *testing.T) *model {
	cfg := config(func(c *Config) { c.SlowStart = 3 * time.Second })
	return &model{t: t, c: New(cfg), cfg: cfg, now: t0}
}

func TestRandomEventsFollowTheModel(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		events := make([]byte, 4*(1+random.IntN(200)))
		for i := range events {
			events[i] = byte(random.Uint32())
		}
		m := newModel(t)
		m.run(events)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzCooldown(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 7, 0, byte(retry.RateLimit), 1, 1, 200, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0})
	f.Add([]byte{3, 0, 0, 0, 3, 0, 0, 0, 7, 1, byte(retry.Auth), 1, 5, 0, 0, 0, 7, 200, byte(retry.Overloaded), 250})
	f.Add([]byte{10, 50, 3, 0, 2, 5, 0, 0, 3, 0, 0, 0, 2, 120, 0, 0, 3, 0, 0, 0, 6, 0, 0, 0, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, events []byte) {
		newModel(t).run(events[:min(len(events), 4000)])
	})
}

// Random traffic from several goroutines: never two probes for one slot, and
// never a way to get stuck.
func TestRandomTrafficUnderConcurrency(t *testing.T) {
	all := New(config(func(c *Config) { c.Duration, c.SlowStart = time.Second, time.Second }))
	var clock atomic.Int64 // milliseconds since t0
	var begun, refused atomic.Int64
	var slots sync.Map // of probes, by spell
	var wg sync.WaitGroup
	for id := range uint64(8) {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(id, 2))
			c := all
			for range 4000 {
				now := t0.Add(time.Duration(clock.Add(random.Int64N(20))) * time.Millisecond)
				ticket, ok := c.Begin(now)
				if !ok {
					refused.Add(1)
					continue
				}
				begun.Add(1)
				if ticket.probe {
					if _, taken := slots.LoadOrStore(ticket.spell, id); taken {
						t.Error("two probes for one slot")
					}
				}
				c.Usable(now)
				c.Remaining(now)
				c.Ramp(now)
				switch random.IntN(8) {
				case 0:
					ticket.Release()
				case 1, 2:
					ticket.Fail(now, Failure{Class: retry.ServerError})
				case 3:
					ticket.Fail(now, stated(retry.RateLimit, 50*time.Millisecond))
				case 4:
					ticket.Answered(now)
					ticket.Succeed(now)
				default:
					ticket.Succeed(now)
				}
				switch random.IntN(500) {
				case 0:
					c = c.Under(config(func(c *Config) { c.Window = time.Duration(1+random.IntN(3)) * time.Minute }))
				case 1:
					c.Restore(now)
				case 2:
					c.Cool(now, retry.Quota, 100*time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	if begun.Load() == 0 || refused.Load() == 0 {
		t.Errorf("got %d begun and %d refused, want some of both", begun.Load(), refused.Load())
	}
	end := t0.Add(time.Duration(clock.Load())*time.Millisecond + time.Hour)
	ticket := begin(t, all, end)
	ticket.Succeed(end)
	wantUsable(t, all, end)
}
