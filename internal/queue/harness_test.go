package queue

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slots is capacity: so many requests at a time.
type slots struct{ free atomic.Int64 }

func (s *slots) take() bool {
	for {
		n := s.free.Load()
		if n <= 0 {
			return false
		}
		if s.free.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// scene is a queue in front of one slot that is taken, in a synctest bubble.
type scene struct {
	t     *testing.T
	q     *Queue
	slots slots
	tries int      // of Take, by anybody
	order []string // who was granted, in order
}

func onScene(t *testing.T, f func(*testing.T, *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, q: new(Queue)}
		f(t, s)
		synctest.Wait()
		if n := s.q.Waiting(); n != 0 {
			t.Errorf("%d still wait at the end, want none", n)
		}
		if s.q.timer != nil || len(s.q.lines)+len(s.q.kinds)+len(s.q.teams.named) != 0 {
			t.Errorf("an empty queue holds timer %v, %d lines, %d kinds, %d teams, want nothing",
				s.q.timer, len(s.q.lines), len(s.q.kinds), len(s.q.teams.named))
		}
	})
}

// wait is a Wait that is under way.
type wait struct {
	name    string
	cancel  context.CancelFunc
	done    chan struct{}
	outcome Outcome
	after   time.Duration
}

// arrive lets a request wait, and returns once it does or has been answered.
func (s *scene) arrive(name string, e Entry) *wait {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	w := &wait{name: name, cancel: cancel, done: make(chan struct{})}
	if e.Size == 0 {
		e.Size = 1 << 20
	}
	if e.Timeout == 0 {
		e.Timeout = 24 * time.Hour
	}
	take := e.Take
	if take == nil {
		take = s.slots.take
	}
	e.Take = func() bool {
		s.tries++
		if !take() {
			return false
		}
		s.order = append(s.order, name)
		return true
	}
	begin := time.Now()
	go func() {
		defer close(w.done)
		defer cancel()
		w.outcome = s.q.Wait(ctx, e)
		w.after = time.Since(begin)
	}()
	synctest.Wait()
	return w
}

// release frees n slots, one after the other.
func (s *scene) release(n int) {
	for range n {
		s.slots.free.Add(1)
		s.q.Dispatch()
	}
	synctest.Wait()
}

func (s *scene) wantOrder(names ...string) {
	s.t.Helper()
	if !slices.Equal(s.order, names) {
		s.t.Errorf("granted in the order %q, want %q", s.order, names)
	}
}

func (s *scene) wantWaiting(want int) {
	s.t.Helper()
	if got := s.q.Waiting(); got != want {
		s.t.Errorf("%d wait, want %d", got, want)
	}
}

// want checks how a wait has ended.
func (w *wait) want(t *testing.T, want Result) {
	t.Helper()
	select {
	case <-w.done:
		if w.outcome.Result != want {
			t.Errorf("%s: got %v, want %v", w.name, w.outcome.Result, want)
		}
	default:
		t.Errorf("%s still waits, want %v", w.name, want)
	}
}

func (w *wait) wantWaiting(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
		t.Errorf("%s: got %v, want it to wait", w.name, w.outcome.Result)
	default:
	}
}
