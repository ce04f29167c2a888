package queue

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Real goroutines, for the race detector: what is taken is released, nobody waits
// for what is free, and never more is taken than there is.
func TestManyAtOnce(t *testing.T) {
	const capacity, clients, rounds = 4, 32, 200
	var (
		q      Queue
		free   slots
		taken  atomic.Int64
		counts [Canceled + 1]atomic.Int64
		group  sync.WaitGroup
	)
	free.free.Store(capacity)
	for i := range clients {
		group.Go(func() {
			for round := range rounds {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+round)%5 == 0 {
					time.AfterFunc(time.Duration(round%7)*50*time.Microsecond, cancel)
				}
				e := Entry{
					Priority: i % 3, Team: string(rune('a' + i%4)), Tokens: int64(1 + i*round),
					Kind: i % 2, Size: clients / 2, Timeout: time.Minute, Take: free.take,
				}
				if round%11 == 0 {
					e.Timeout = 100 * time.Microsecond
				}
				r := Taken
				if q.MustWait(time.Now(), e.Priority) || !free.take() {
					r = q.Wait(ctx, e).Result
				}
				counts[r].Add(1)
				if r == Taken {
					if n := taken.Add(1); n > capacity {
						t.Errorf("%d have taken, want %d at most", n, capacity)
					}
					taken.Add(-1)
					free.free.Add(1)
					q.Dispatch()
				}
				cancel()
			}
		})
	}
	group.Wait()
	if got := free.free.Load(); got != capacity {
		t.Errorf("%d slots are free at the end, want %d", got, capacity)
	}
	if got := q.Waiting(); got != 0 {
		t.Errorf("%d still wait, want none", got)
	}
	t.Logf("taken %d, refused %d, shed %d, timed out %d, canceled %d", counts[Taken].Load(),
		counts[Refused].Load(), counts[Shed].Load(), counts[TimedOut].Load(), counts[Canceled].Load())
}

// Every release is noticed by somebody, however it meets those who come. The
// timer would make up for a release that was not, so it is put out of action: it
// does nothing, and a waiter who is never served keeps it from being replaced.
func TestNoReleaseIsLost(t *testing.T) {
	const capacity, clients, rounds = 2, 8, 2000
	var (
		q     Queue
		free  slots
		group sync.WaitGroup
	)
	free.free.Store(capacity)
	q.timer = time.AfterFunc(time.Hour, func() {})
	ctx, cancel := context.WithCancel(t.Context())
	forever := make(chan Outcome)
	go func() {
		forever <- q.Wait(ctx, Entry{Kind: "forever", Size: 1, Timeout: time.Hour, Take: func() bool { return false }})
	}()
	for q.Waiting() == 0 {
		runtime.Gosched()
	}
	for i := range clients {
		group.Go(func() {
			for range rounds {
				out := q.Wait(t.Context(), Entry{
					Team: string(rune('a' + i%2)), Kind: i % 3, Size: clients + 1, Timeout: 20 * time.Second, Take: free.take,
				})
				if out.Result != Taken {
					t.Errorf("got %v, want taken", out.Result)
					return
				}
				free.free.Add(1)
				q.Dispatch()
			}
		})
	}
	group.Wait()
	cancel()
	if got := (<-forever).Result; got != Canceled {
		t.Errorf("the one who is never served: got %v, want canceled", got)
	}
}
