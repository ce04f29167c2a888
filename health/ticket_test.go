package health

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestTicketIsSettledOnce(t *testing.T) {
	settle := map[string]func(*Ticket){
		"succeed": func(ticket *Ticket) { ticket.Succeed(t0) },
		"fail":    func(ticket *Ticket) { ticket.Fail(t0, Failure{Class: retry.ServerError}) },
		"refused": func(ticket *Ticket) { ticket.Fail(t0, Failure{Class: retry.BadRequest}) },
		"release": (*Ticket).Release,
	}
	counted := map[string]Counts{"succeed": {Successes: 1}, "fail": {}, "refused": {}, "release": {}}
	failed := counted["fail"]
	failed.Failures[retry.ServerError] = 1
	counted["fail"] = failed
	for first, do := range settle {
		for second, again := range settle {
			t.Run(first+" then "+second, func(t *testing.T) {
				c := New(nil)
				ticket := begin(t, c, t0)
				do(&ticket)
				again(&ticket)
				if got := c.Counts(t0); got != counted[first] {
					t.Errorf("counts: got %+v, want %+v", got, counted[first])
				}
			})
			t.Run("probe: "+first+" then "+second, func(t *testing.T) {
				c := cooled(nil, 5*time.Second)
				ticket := begin(t, c, t0)
				do(&ticket)
				other, ok := c.Begin(t0)
				before := c.State(t0)
				again(&ticket)
				if got := c.State(t0); got != before {
					t.Errorf("state: got %v, want %v", got, before)
				}
				if ok {
					other.Release()
				}
			})
		}
	}
}

func TestZeroTicketDoesNothing(t *testing.T) {
	var ticket Ticket
	ticket.Release()
	if ticket.Answered(t0) || ticket.Succeed(t0) {
		t.Error("recovered")
	}
	if got := ticket.Fail(t0, stated(retry.Quota, time.Hour)); got != (Effect{}) {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestRefusedBeginGivesASettledTicket(t *testing.T) {
	c := New(nil)
	fail(c, t0, retry.Auth)
	ticket, ok := c.Begin(t0)
	if ok {
		t.Fatal("begin allowed while cooling")
	}
	if got := ticket.Fail(t0, stated(retry.Quota, time.Hour)); got != (Effect{}) {
		t.Errorf("got %+v, want nothing", got)
	}
}

// What began before a cooldown and ends in it or after it.
func TestStaleTicket(t *testing.T) {
	// cooling gives a ticket of before a cooldown of 5 s from t0 on.
	cooling := func(t *testing.T, cfg *Config) (*Cooldown, Ticket) {
		c := New(cfg)
		ticket := begin(t, c, t0)
		fail(c, t0, retry.Auth)
		return c, ticket
	}
	in := t0.Add(time.Second)

	t.Run("success does not end the cooldown", func(t *testing.T) {
		c, stale := cooling(t, nil)
		if stale.Succeed(in) {
			t.Error("recovered")
		}
		wantCooling(t, c, in, 4*time.Second, retry.Auth)
	})
	for _, class := range []retry.Class{retry.ServerError, retry.RateLimit, retry.Auth, retry.Quota} {
		t.Run(class.String()+" without a wait does not extend it", func(t *testing.T) {
			c, stale := cooling(t, config(func(c *Config) { c.AllowedFails = 0 }))
			if got := stale.Fail(in, Failure{Class: class}); got != (Effect{}) {
				t.Errorf("got %+v, want nothing", got)
			}
			wantCooling(t, c, in, 4*time.Second, retry.Auth)
		})
	}
	t.Run("a stated wait with a later end extends it", func(t *testing.T) {
		c, stale := cooling(t, nil)
		if got := stale.Fail(in, stated(retry.Overloaded, 10*time.Second)); got != (Effect{Cooled: true, For: 10 * time.Second}) {
			t.Errorf("got %+v, want cooled for 10s", got)
		}
		wantCooling(t, c, in, 10*time.Second, retry.Overloaded)
	})
	t.Run("a stated wait with an earlier end changes nothing", func(t *testing.T) {
		c, stale := cooling(t, nil)
		if got := stale.Fail(in, stated(retry.Overloaded, 3*time.Second)); got != (Effect{}) {
			t.Errorf("got %+v, want nothing", got)
		}
		wantCooling(t, c, in, 4*time.Second, retry.Auth)
	})
	t.Run("an absurd wait extends it up to the maximum", func(t *testing.T) {
		c, stale := cooling(t, nil)
		stale.Fail(in, stated(retry.RateLimit, 1000*time.Hour))
		wantCooling(t, c, in, 5*time.Minute, retry.RateLimit)
	})
	t.Run("a stated wait ends half-open and overrules the probe", func(t *testing.T) {
		c, stale := cooling(t, nil)
		end := t0.Add(5 * time.Second)
		probe := begin(t, c, end)
		stale.Fail(end, stated(retry.RateLimit, time.Minute))
		if probe.Succeed(end.Add(time.Second)) {
			t.Error("the probe ended a cooldown that began after it")
		}
		wantCooling(t, c, end, time.Minute, retry.RateLimit)
	})
	t.Run("success and failure do not disturb a probe", func(t *testing.T) {
		c := New(nil)
		one, two, three := begin(t, c, t0), begin(t, c, t0), begin(t, c, t0)
		fail(c, t0, retry.Auth)
		end := t0.Add(5 * time.Second)
		probe := begin(t, c, end)
		one.Succeed(end)
		two.Fail(end, Failure{Class: retry.Auth})
		three.Release()
		wantProbing(t, c, end)
		if !probe.Succeed(end) {
			t.Error("the probe did not restore")
		}
	})

	recovered := func(t *testing.T, cfg *Config) (*Cooldown, Ticket) {
		c, stale := cooling(t, cfg)
		probe := begin(t, c, t0.Add(5*time.Second))
		probe.Succeed(t0.Add(5 * time.Second))
		return c, stale
	}
	after := t0.Add(6 * time.Second)
	t.Run("after recovery it is not counted", func(t *testing.T) {
		c, stale := recovered(t, config(func(c *Config) { c.AllowedFails = 0 }))
		other := stale
		stale.Fail(after, Failure{Class: retry.Timeout})
		other.Succeed(after)
		wantUsable(t, c, after)
		if got := c.Counts(after); got != (Counts{}) {
			t.Errorf("counts: got %+v, want nothing", got)
		}
	})
	t.Run("after recovery a stated wait cools", func(t *testing.T) {
		c, stale := recovered(t, nil)
		stale.Fail(after, stated(retry.RateLimit, 7*time.Second))
		wantCooling(t, c, after, 7*time.Second, retry.RateLimit)
	})
	t.Run("after recovery a stated wait respects the count of its class", func(t *testing.T) {
		c, stale := recovered(t, config(func(c *Config) { c.ClassAllowed[retry.RateLimit] = 3 }))
		stale.Fail(after, stated(retry.RateLimit, 7*time.Second))
		wantUsable(t, c, after)
	})
}

func TestTicketsOfConcurrentFailuresKeepTheLaterEnd(t *testing.T) {
	waits := []time.Duration{10 * time.Second, 40 * time.Second, time.Second, 30 * time.Second}
	c := New(nil)
	tickets := make([]Ticket, len(waits))
	for i := range tickets {
		tickets[i] = begin(t, c, t0)
	}
	for i, wait := range waits {
		got := tickets[i].Fail(t0, stated(retry.RateLimit, wait))
		if want := i < 2; got.Cooled != want {
			t.Errorf("wait %v: cooled %v, want %v", wait, got.Cooled, want)
		}
	}
	wantCooling(t, c, t0, 40*time.Second, retry.RateLimit)
}
