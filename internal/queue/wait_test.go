package queue

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHowAWaitEnds(t *testing.T) {
	t.Run("served at once", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.slots.free.Store(1)
			w := s.arrive("a", Entry{})
			w.want(t, Taken)
			if w.after != 0 {
				t.Errorf("took %v, want no time", w.after)
			}
		})
	})
	t.Run("too late", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			w := s.arrive("a", Entry{Timeout: 7 * time.Second})
			<-w.done
			w.want(t, TimedOut)
			if w.after != 7*time.Second {
				t.Errorf("gave up after %v, want 7s", w.after)
			}
		})
	})
	t.Run("no time at all is enough for what is free", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("a", Entry{Timeout: -1}).want(t, TimedOut)
			s.slots.free.Store(1)
			s.arrive("b", Entry{Timeout: -1}).want(t, Taken)
		})
	})
	t.Run("a client that leaves frees its place at once", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			w := s.arrive("a", Entry{Size: 1})
			w.cancel()
			synctest.Wait()
			w.want(t, Canceled)
			if w.outcome.Predicted != 0 {
				t.Errorf("predicted %v to nobody, want nothing", w.outcome.Predicted)
			}
			s.arrive("b", Entry{Size: 1}).wantWaiting(t)
			s.release(1)
			s.wantOrder("b")
		})
	})
	t.Run("a client that has left takes nothing", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.slots.free.Store(1)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if got := s.q.Wait(ctx, Entry{Take: s.slots.take}); got.Result != Canceled {
				t.Errorf("got %v, want canceled", got.Result)
			}
			if n := s.slots.free.Load(); n != 1 {
				t.Errorf("%d slots are free, want 1", n)
			}
		})
	})
	t.Run("a grant and the end of the context at the same instant", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			for range 100 { // select picks any of what is ready
				w := s.arrive("a", Entry{})
				s.slots.free.Add(1)
				s.q.Dispatch()
				w.cancel()
				synctest.Wait()
				w.want(t, Taken)
			}
		})
	})
}

// The one whose Take panics has to bear it: not whoever dispatches, and not the
// process.
func TestAPanicIsItsOwners(t *testing.T) {
	caught := func(t *testing.T, s *scene, e Entry) (done chan any) {
		done = make(chan any, 1)
		e.Size, e.Timeout = 10, time.Hour
		go func() {
			defer func() { done <- recover() }()
			s.q.Wait(t.Context(), e)
		}()
		synctest.Wait()
		return done
	}
	for _, tt := range []struct {
		name  string
		entry func(broken *atomic.Bool) Entry
	}{
		{"in Take", func(broken *atomic.Bool) Entry {
			return Entry{Kind: 1, Take: func() bool {
				if broken.Load() {
					panic("take is broken")
				}
				return false
			}}
		}},
		{"in Next", func(broken *atomic.Bool) Entry {
			return Entry{
				Kind: 1, Take: func() bool { return false },
				Next: func(time.Time) (time.Duration, bool) {
					if broken.Load() {
						panic("next is broken")
					}
					return 0, false
				},
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onScene(t, func(t *testing.T, s *scene) {
				var broken atomic.Bool
				done := caught(t, s, tt.entry(&broken))
				other := s.arrive("other", Entry{Kind: 2})
				broken.Store(true)
				s.release(1)
				other.want(t, Taken)
				got, _ := (<-done).(string)
				if !strings.Contains(got, "is broken") || !strings.Contains(got, "wait_test.go") {
					t.Errorf("Wait panicked with %q, want the panic and where it was", got)
				}
				if got := <-caught(t, s, tt.entry(&broken)); got == nil {
					t.Error("Wait returned, want it to panic as it comes")
				}
			})
		})
	}
}

func TestResultsHaveNames(t *testing.T) {
	for r, want := range []string{"unknown", "taken", "refused", "shed", "timed_out", "canceled"} {
		if got := Result(r).String(); got != want {
			t.Errorf("result %d: got %q, want %q", r, got, want)
		}
	}
}
