package state

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

func strict(o Options) Options {
	o.Strict = true
	o.Timeout = 20 * time.Second // exactness, not speed
	return o
}

func TestReserveIsExactOverInstances(t *testing.T) {
	server := redistest.Start(t)
	for name, test := range map[string]struct {
		limits Limits
		tokens int64
		want   int64
	}{
		"requests": {Limits{RPM: 100}, 7, 100},
		"tokens":   {Limits{TPM: 700}, 7, 100},
		"both":     {Limits{RPM: 200, TPM: 705}, 7, 100},
		"large":    {Limits{TPM: 5}, 7, 1}, // more than a minute's worth, alone
	} {
		t.Run(name, func(t *testing.T) {
			var let, asked atomic.Int64
			var wg sync.WaitGroup
			for range 3 {
				s := open(t, strict(addrs(server)))
				_, link := s.attach(t, name)
				for range 8 {
					wg.Go(func() {
						for range 20 {
							v, err := link.Reserve(t.Context(), test.limits, test.tokens)
							if err != nil {
								t.Error(err)
								return
							}
							asked.Add(1)
							if v.OK {
								let.Add(1)
							} else if v.Wait <= 0 || v.Wait > 61*time.Second {
								t.Errorf("got a wait of %v, want one within the minute", v.Wait)
							}
						}
					})
				}
			}
			wg.Wait()
			if let.Load() != test.want || asked.Load() != 480 {
				t.Errorf("got %d of %d let through, want exactly %d of 480", let.Load(), asked.Load(), test.want)
			}
		})
	}
}

// What was used without a reservation counts for those that reserve.
func TestReserveKnowsWhatWasUsed(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, strict(addrs(server)))
	d, link := s.attach(t, "k")
	d.use(4, 40)
	d.knows(t, 4, 40)
	for i, want := range []bool{true, false} {
		v, err := link.Reserve(t.Context(), Limits{RPM: 5}, 1)
		if err != nil || v.OK != want {
			t.Errorf("reservation %d: got %v and %v, want %v", i, v, err, want)
		}
	}
	d.knows(t, 5, 41)
}

func TestReserveOfAClientThatLeaves(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, strict(addrs(server)))
	_, link := s.attach(t, "k")
	s.waitUp(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * patience {
		if _, err := link.Reserve(ctx, Limits{RPM: 5}, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
	if !s.Up() {
		t.Error("got a store that is down, want it up: Redis did nothing wrong")
	}
}

// A frozen Redis comes to reservations that nobody waits for any more. They
// must not use up the limit.
func TestReserveTooLateTakesNothing(t *testing.T) {
	server := redistest.Start(t)
	o := addrs(server)
	o.Strict = true
	s := open(t, o)
	d, link := s.attach(t, "k")
	d.use(1, 1)
	d.knows(t, 1, 1) // and the clock of the server is known
	server.Freeze(t)
	for range 2 * patience {
		if _, err := link.Reserve(t.Context(), Limits{RPM: 50}, 1); err == nil {
			t.Error("got a verdict of a frozen Redis, want an error")
		}
	}
	server.Thaw(t)
	s.waitUp(t)
	told, _, _ := d.times()
	redistest.WaitFor(t, "another round", func() bool { now, _, _ := d.times(); return now > told+2 })
	d.knows(t, 1, 1)
}

// What a request pays for strict limits, its round trip included.
func BenchmarkReserve(b *testing.B) {
	server := redistest.Start(b)
	s := open(b, strict(addrs(server)))
	_, link := s.attach(b, "k")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := link.Reserve(b.Context(), Limits{RPM: 1 << 40, TPM: 1 << 40}, 100); err != nil {
			b.Fatal(err)
		}
	}
}
