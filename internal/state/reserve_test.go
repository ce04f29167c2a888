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
		rpm, tpm int64
		tokens   int64
		want     int64
	}{
		"requests": {100, 0, 7, 100},
		"tokens":   {0, 700, 7, 100},
		"both":     {200, 705, 7, 100},
		"large":    {0, 5, 7, 1}, // more than a minute's worth, alone
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
							ok, wait, err := link.Reserve(t.Context(), test.rpm, test.tpm, test.tokens)
							if err != nil {
								t.Error(err)
								return
							}
							asked.Add(1)
							if ok {
								let.Add(1)
							} else if wait <= 0 || wait > 61*time.Second {
								t.Errorf("got a wait of %v, want one within the minute", wait)
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
		ok, _, err := link.Reserve(t.Context(), 5, 0, 1)
		if err != nil || ok != want {
			t.Errorf("reservation %d: got %v and %v, want %v", i, ok, err, want)
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
		if _, _, err := link.Reserve(ctx, 5, 0, 1); !errors.Is(err, context.Canceled) {
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
		if _, _, err := link.Reserve(t.Context(), 50, 0, 1); err == nil {
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
		if _, _, err := link.Reserve(b.Context(), 1<<40, 1<<40, 100); err != nil {
			b.Fatal(err)
		}
	}
}
