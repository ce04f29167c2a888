package queue

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestKinds(t *testing.T) {
	t.Run("who cannot use what is free keeps its place and holds up nobody", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			var other slots
			s.arrive("a", Entry{Kind: "other", Take: other.take})
			s.arrive("b", Entry{})
			s.arrive("c", Entry{Kind: "other", Take: other.take})
			s.release(1)
			s.wantOrder("b")
			other.free.Store(2)
			s.q.Dispatch()
			s.wantOrder("b", "a", "c")
		})
	})
	t.Run("one failure speaks for all of a kind", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			const kinds, each = 3, 50
			for i := range kinds * each {
				s.arrive("", Entry{Kind: i % kinds, Team: fmt.Sprint(i % 7), Priority: i % 5})
			}
			if s.tries != kinds*(kinds+1)/2 { // a walk when the first of a kind comes
				t.Errorf("Take was called %d times as they came, want %d", s.tries, kinds*(kinds+1)/2)
			}
			s.tries = 0
			s.q.Dispatch()
			if s.tries != kinds {
				t.Errorf("Take was called %d times in vain, want %d", s.tries, kinds)
			}
			s.tries = 0
			s.slots.free.Store(10)
			s.q.Dispatch()
			if s.tries != 10+kinds {
				t.Errorf("Take was called %d times for 10 grants, want %d", s.tries, 10+kinds)
			}
			s.release(kinds*each - 10)
		})
	})
	t.Run("nobody is tried twice though each is of its own kind", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			const n = 300
			for i := range n {
				s.arrive("", Entry{Kind: i, Team: fmt.Sprint(i), Priority: i})
			}
			s.tries = 0
			s.slots.free.Store(1)
			s.q.Dispatch()
			if s.tries != n {
				t.Errorf("Take was called %d times, want %d", s.tries, n)
			}
			s.release(n - 1)
		})
	})
}

func TestWhatFreesByItself(t *testing.T) {
	at := func(free *time.Time) (take func() bool, next func(time.Time) (time.Duration, bool)) {
		take = func() bool { return !time.Now().Before(*free) }
		next = func(now time.Time) (time.Duration, bool) { return free.Sub(now), true }
		return take, next
	}
	for _, tt := range []struct {
		name     string
		in, want time.Duration
	}{
		{"is noticed when it does", 400 * time.Millisecond, 400 * time.Millisecond},
		{"also when that is late", 90500 * time.Millisecond, 90500 * time.Millisecond},
		{"and not in a loop when it is due", 10 * time.Microsecond, soon},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onScene(t, func(t *testing.T, s *scene) {
				free := time.Now().Add(tt.in)
				take, next := at(&free)
				later := free.Add(time.Minute)
				takeLater, nextLater := at(&later)
				other := s.arrive("later", Entry{Kind: 1, Take: takeLater, Next: nextLater})
				w := s.arrive("a", Entry{Kind: 2, Take: take, Next: next})
				<-w.done
				w.want(t, Taken)
				if w.after != tt.want {
					t.Errorf("granted after %v, want %v", w.after, tt.want)
				}
				<-other.done
				if want := tt.in + time.Minute; other.after != want {
					t.Errorf("the later one granted after %v, want %v", other.after, want)
				}
			})
		})
	}
	t.Run("without saying so is noticed within a second", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			w := s.arrive("a", Entry{})
			time.Sleep(10*time.Second + 1)
			s.slots.free.Add(1)
			<-w.done
			if got := w.after - 10*time.Second; got > recheck {
				t.Errorf("granted %v after it was free, want %v at most", got, recheck)
			}
		})
	})
	t.Run("a Next that is always due costs a try each millisecond at most", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			w := s.arrive("a", Entry{Next: func(time.Time) (time.Duration, bool) { return -1 << 63, true }})
			time.Sleep(time.Second)
			synctest.Wait()
			if limit := int(time.Second/soon) + 1; s.tries > limit {
				t.Errorf("Take was called %d times in a second, want %d at most", s.tries, limit)
			}
			w.cancel()
		})
	})
	t.Run("a Next in the distant future is believed and harmless", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			w := s.arrive("a", Entry{Next: func(time.Time) (time.Duration, bool) { return 1<<63 - 1, true }})
			time.Sleep(10*time.Second + 1)
			synctest.Wait()
			if s.tries > 11 {
				t.Errorf("Take was called %d times in ten seconds, want once a second", s.tries)
			}
			if got := s.arrive("b", Entry{Size: 1}).outcome.Predicted; got < mostNext-time.Minute || got > mostNext {
				t.Errorf("predicted %v, want about %v", got, mostNext)
			}
			s.release(1)
			w.want(t, Taken)
		})
	})
}

// Releases that come while somebody walks are left to one who walks after it.
func TestReleasesAreNeitherLostNorPiledUp(t *testing.T) {
	onScene(t, func(t *testing.T, s *scene) {
		entered, resume := make(chan struct{}), make(chan struct{})
		blocking := false
		slow := s.arrive("slow", Entry{Kind: 1, Priority: -1, Take: func() bool {
			if blocking {
				blocking = false
				entered <- struct{}{}
				<-resume
			}
			return false
		}})
		for range 5 {
			s.arrive("a", Entry{})
		}
		blocking = true
		go s.q.Dispatch()
		<-entered
		s.tries = 0
		var left atomic.Int64
		for range 5 {
			go func() {
				s.slots.free.Add(1)
				s.q.Dispatch()
				left.Add(1)
			}()
		}
		// One of the five waits for the lock, which keeps the clock of the bubble
		// from moving on; the others have left it to that one.
		for left.Load() < 4 {
			runtime.Gosched()
		}
		close(resume)
		synctest.Wait()
		s.wantWaiting(1)
		if len(s.order) != 5 {
			t.Errorf("%d granted, want 5", len(s.order))
		}
		if s.tries != 5+1 {
			t.Errorf("Take was called %d times more, want 5 and one of a single further walk", s.tries)
		}
		slow.cancel()
	})
}
