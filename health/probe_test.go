package health

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// cooled is a deployment whose cooldown of length d ends at t0.
func cooled(cfg *Config, d time.Duration) *Cooldown {
	c := New(cfg)
	c.Cool(t0.Add(-d), retry.RateLimit, d)
	return c
}

func wantProbing(t *testing.T, c *Cooldown, now time.Time) {
	t.Helper()
	if got := c.State(now); got != Probing || c.Usable(now) {
		t.Errorf("state: got %v, usable %v, want probing", got, c.Usable(now))
	}
	if got := c.Remaining(now); got != 0 {
		t.Errorf("remaining: got %v, want 0", got)
	}
	if _, ok := c.Begin(now); ok {
		t.Error("a second probe was let through")
	}
}

func TestHalfOpenLetsOneProbeThrough(t *testing.T) {
	c := cooled(nil, 5*time.Second)
	wantUsable(t, c, t0)
	probe := begin(t, c, t0)
	wantProbing(t, c, t0)
	wantProbing(t, c, t0.Add(time.Minute))
	if !probe.Succeed(t0.Add(time.Minute)) {
		t.Error("success did not restore")
	}
	wantUsable(t, c, t0.Add(time.Minute))
	for range 3 {
		ticket := begin(t, c, t0.Add(time.Minute))
		defer ticket.Release()
	}
}

func TestHalfOpenUnderConcurrency(t *testing.T) {
	for range 200 {
		c := cooled(nil, 5*time.Second)
		var probes, forced atomic.Int32
		var tickets [8]Ticket
		var wg sync.WaitGroup
		for i := range tickets {
			wg.Go(func() {
				if i%2 == 0 {
					if ticket, ok := c.Begin(t0); ok {
						probes.Add(1)
						tickets[i] = ticket
					}
					return
				}
				if tickets[i] = c.BeginForced(t0); tickets[i].probe {
					probes.Add(1)
				} else {
					forced.Add(1)
				}
			})
		}
		wg.Wait()
		if got := probes.Load(); got != 1 {
			t.Fatalf("got %d probes, want 1", got)
		}
		wantProbing(t, c, t0)
		recovered := atomic.Int32{}
		for i := range tickets {
			wg.Go(func() {
				if tickets[i].Succeed(t0) {
					recovered.Add(1)
				}
			})
		}
		wg.Wait()
		if got := recovered.Load(); got != 1 {
			t.Fatalf("%d of %d forced and one probe: got %d recoveries, want 1", forced.Load(), len(tickets), got)
		}
		wantUsable(t, c, t0)
	}
}

func TestProbeAnsweredWithAClientsMistakeRestores(t *testing.T) {
	for _, class := range []retry.Class{retry.ClientAuth, retry.ContextWindow, retry.ContentPolicy, retry.BadRequest, retry.None} {
		c := cooled(nil, 5*time.Second)
		probe := begin(t, c, t0)
		if got := probe.Fail(t0, Failure{Class: class}); got != (Effect{Recovered: true}) {
			t.Errorf("%v: got %+v, want recovered", class, got)
		}
		begin(t, c, t0)
		begin(t, c, t0) // no longer half-open
	}
}

func TestProbeThatSaysNothingFreesItsSlot(t *testing.T) {
	for name, settle := range map[string]func(*Ticket){
		"released": (*Ticket).Release,
		"canceled": func(ticket *Ticket) { ticket.Fail(t0, Failure{Class: retry.Canceled}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := cooled(nil, 5*time.Second)
			probe := begin(t, c, t0)
			settle(&probe)
			wantUsable(t, c, t0)
			next := begin(t, c, t0)
			wantProbing(t, c, t0) // still half-open
			if !next.Succeed(t0) {
				t.Error("the next probe did not restore")
			}
		})
	}
}

func TestFailedProbesLengthenUpToAMaximum(t *testing.T) {
	seconds := func(s ...int) (d []time.Duration) {
		for _, n := range s {
			d = append(d, time.Duration(n)*time.Second)
		}
		return d
	}
	tests := []struct {
		name   string
		change func(*Config)
		first  time.Duration
		want   []time.Duration
	}{
		{"default", func(*Config) {}, 5 * time.Second, seconds(10, 20, 30, 30, 30)},
		{"factor 1", func(c *Config) { c.Growth = 1 }, 5 * time.Second, seconds(5, 5, 5)},
		{"factor 3 up to 1m", func(c *Config) { c.Growth, c.GrowthMax = 3, time.Minute }, 5 * time.Second, seconds(15, 45, 60, 60)},
		{"never shorter than the duration", func(*Config) {}, time.Second, seconds(5, 10, 20, 30)},
		{"a maximum below the duration", func(c *Config) { c.Duration = time.Minute }, time.Minute, seconds(60, 60)},
		{"after a long stated wait", func(*Config) {}, 4 * time.Minute, seconds(30, 30)},
		{"a factor out of all bounds", func(c *Config) { c.Growth = 1e300 }, time.Hour, seconds(30, 30)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cooled(config(tt.change), tt.first)
			now := t0
			for i, want := range tt.want {
				probe := begin(t, c, now)
				now = now.Add(time.Second) // it takes a while to fail
				if got := probe.Fail(now, Failure{Class: retry.ServerError}); got != (Effect{Cooled: true, For: want}) {
					t.Fatalf("probe %d: got %+v, want cooled for %v", i+1, got, want)
				}
				if got := c.Remaining(now); got != want {
					t.Fatalf("probe %d: remaining %v, want %v", i+1, got, want)
				}
				if got := c.State(now.Add(want - 1)); got != Cooling {
					t.Fatalf("probe %d: %v just before the end, want cooling", i+1, got)
				}
				now = now.Add(want)
			}
			// Success resets the growth.
			probe := begin(t, c, now)
			probe.Succeed(now)
			fail(c, now, retry.Auth)
			if got, want := c.Remaining(now), c.cfg.Duration; got != want {
				t.Errorf("first cooldown after recovery: got %v, want %v", got, want)
			}
		})
	}
}

func TestFailedProbeByClass(t *testing.T) {
	tests := []struct {
		name    string
		failure Failure
		want    time.Duration
	}{
		{"one timeout is enough", Failure{Class: retry.Timeout}, 10 * time.Second},
		{"429", Failure{Class: retry.RateLimit}, 10 * time.Second},
		{"429 with a shorter wait", stated(retry.RateLimit, time.Second), 10 * time.Second},
		{"429 with a longer wait", stated(retry.RateLimit, time.Minute), time.Minute},
		{"429 with an absurd wait", stated(retry.RateLimit, time.Hour), 5 * time.Minute},
		{"503 with a longer wait", stated(retry.Overloaded, time.Minute), time.Minute},
		{"quota", Failure{Class: retry.Quota}, 5 * time.Minute},
		{"bad key", Failure{Class: retry.Auth}, 10 * time.Second},
		{"not spare, 429 with a short wait", Failure{Class: retry.RateLimit, Wait: time.Second, Stated: true, Spare: notSpare}, time.Second},
		{"not spare, bad key", Failure{Class: retry.Auth, Spare: notSpare}, 10 * time.Second},
		{"not spare, quota", Failure{Class: retry.Quota, Spare: notSpare}, 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cooled(nil, 5*time.Second)
			probe := begin(t, c, t0)
			if got := probe.Fail(t0, tt.failure); got != (Effect{Cooled: true, For: tt.want}) {
				t.Errorf("got %+v, want cooled for %v", got, tt.want)
			}
			wantCooling(t, c, t0, tt.want, tt.failure.Class)
		})
	}
}

func TestFailedProbeOfTheLastDeploymentIsFollowedByTheNext(t *testing.T) {
	c := cooled(nil, 5*time.Second)
	for range 3 {
		probe := begin(t, c, t0)
		if got := probe.Fail(t0, Failure{Class: retry.ServerError, Spare: notSpare}); got != (Effect{}) {
			t.Fatalf("got %+v, want no cooldown: there is nothing better to go to", got)
		}
		wantUsable(t, c, t0)
	}
	probe := begin(t, c, t0)
	wantProbing(t, c, t0)
	if !probe.Succeed(t0) {
		t.Error("success did not restore")
	}
}

func TestLostProbeGivesItsSlotUp(t *testing.T) {
	cfg := config(func(c *Config) { c.ProbeTimeout = 10 * time.Second })
	outcomes := map[string]func(*Ticket, time.Time) Effect{
		"success":  func(p *Ticket, now time.Time) Effect { return Effect{Recovered: p.Succeed(now)} },
		"answered": func(p *Ticket, now time.Time) Effect { return Effect{Recovered: p.Answered(now)} },
		"failure":  func(p *Ticket, now time.Time) Effect { return p.Fail(now, Failure{Class: retry.Auth}) },
		"release":  func(p *Ticket, _ time.Time) Effect { p.Release(); return Effect{} },
	}
	for name, outcome := range outcomes {
		t.Run("whose late "+name+" has no say", func(t *testing.T) {
			c := cooled(cfg, 5*time.Second)
			lost := begin(t, c, t0)
			wantProbing(t, c, t0.Add(10*time.Second-1))
			now := t0.Add(10 * time.Second)
			wantUsable(t, c, now)
			probe := begin(t, c, now)
			if got := outcome(&lost, now); got != (Effect{}) {
				t.Errorf("late %s: got %+v, want nothing", name, got)
			}
			wantProbing(t, c, now)
			if !probe.Succeed(now) {
				t.Error("the second probe did not restore")
			}
		})
	}
	t.Run("but speaks as long as nobody took it", func(t *testing.T) {
		c := cooled(cfg, 5*time.Second)
		slow := begin(t, c, t0)
		if !slow.Succeed(t0.Add(time.Hour)) {
			t.Error("success did not restore")
		}
	})
}

func TestProbeAnsweredReleasesOthersEarly(t *testing.T) {
	c := cooled(nil, 5*time.Second)
	probe := begin(t, c, t0)
	wantProbing(t, c, t0)
	if !probe.Answered(t0.Add(time.Second)) {
		t.Fatal("the first content did not restore")
	}
	if probe.Answered(t0.Add(time.Second)) {
		t.Error("restored twice")
	}
	now := t0.Add(2 * time.Second)
	wantUsable(t, c, now)
	begin(t, c, now)
	begin(t, c, now)

	probe.Fail(now, Failure{Class: retry.Timeout}) // the stream breaks later
	if got := c.Counts(now).Failures[retry.Timeout]; got != 1 {
		t.Errorf("timeouts: got %d, want 1: the ticket went on as an ordinary one", got)
	}
	wantUsable(t, c, now)

	ordinary := begin(t, c, now)
	if ordinary.Answered(now) {
		t.Error("an ordinary ticket restored something")
	}
	ordinary.Succeed(now)
	if got := c.Counts(now).Successes; got != 1 {
		t.Errorf("successes: got %d, want 1", got)
	}
}

func TestRecoveryStartsAFreshWindow(t *testing.T) {
	c := New(nil)
	for range 5 {
		fail(c, t0, retry.ServerError)
	}
	now := t0.Add(5 * time.Second)
	probe := begin(t, c, now)
	probe.Succeed(now)
	if got := c.Counts(now); got != (Counts{}) {
		t.Errorf("counts: got %+v, want nothing", got)
	}
	for i := range 4 {
		if fail(c, now, retry.ServerError).Cooled {
			t.Fatalf("cooled by failure %d after recovery", i+1)
		}
	}
	if !fail(c, now, retry.ServerError).Cooled {
		t.Error("not cooled by failure 5 after recovery")
	}
}

func TestCooldownFromOutsideOverrulesAProbe(t *testing.T) {
	c := cooled(nil, 5*time.Second)
	probe := begin(t, c, t0)
	c.Cool(t0, retry.Quota, time.Minute)
	if probe.Succeed(t0.Add(time.Second)) {
		t.Error("the probe ended a cooldown that began after it")
	}
	wantCooling(t, c, t0, time.Minute, retry.Quota)
}

func TestForced(t *testing.T) {
	t.Run("is ordinary while usable", func(t *testing.T) {
		c := New(nil)
		ticket := c.BeginForced(t0)
		ticket.Succeed(t0)
		if got := c.Counts(t0).Successes; got != 1 {
			t.Errorf("successes: got %d, want 1", got)
		}
	})
	t.Run("is the probe when nobody else is", func(t *testing.T) {
		c := cooled(nil, 5*time.Second)
		ticket := c.BeginForced(t0)
		wantProbing(t, c, t0)
		if !ticket.Succeed(t0) {
			t.Error("success did not restore")
		}
	})
	t.Run("does not end a cooldown by success", func(t *testing.T) {
		c := New(nil)
		fail(c, t0, retry.Auth)
		ticket := c.BeginForced(t0)
		if ticket.Succeed(t0) {
			t.Error("restored")
		}
		wantCooling(t, c, t0, 5*time.Second, retry.Auth)
	})
	t.Run("does not take a probe's place", func(t *testing.T) {
		c := cooled(nil, 5*time.Second)
		probe := begin(t, c, t0)
		ticket := c.BeginForced(t0)
		ticket.Fail(t0, Failure{Class: retry.ServerError})
		wantProbing(t, c, t0)
		other := c.BeginForced(t0)
		other.Release()
		wantProbing(t, c, t0)
		if !probe.Succeed(t0) {
			t.Error("the probe did not restore")
		}
	})
	t.Run("believes a stated wait", func(t *testing.T) {
		c := New(nil)
		fail(c, t0, retry.Auth)
		ticket := c.BeginForced(t0)
		if got := ticket.Fail(t0, stated(retry.RateLimit, time.Minute)); !got.Cooled {
			t.Errorf("got %+v, want cooled", got)
		}
		wantCooling(t, c, t0, time.Minute, retry.RateLimit)
	})
}
