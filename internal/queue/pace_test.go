package queue

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestPredictedWait(t *testing.T) {
	next := func(d time.Duration) func(time.Time) (time.Duration, bool) {
		return func(time.Time) (time.Duration, bool) { return d, true }
	}
	// serve grants n who have to wait, one each gap, and one is left waiting.
	serve := func(s *scene, n int, gap time.Duration) {
		s.arrive("first", Entry{})
		for range n {
			s.arrive("served", Entry{})
			time.Sleep(gap)
			s.release(1)
		}
	}
	for _, tt := range []struct {
		name  string
		setup func(*scene)
		entry Entry
		want  time.Duration
	}{
		{"a second when nothing is known", func(s *scene) { s.arrive("a", Entry{}) }, Entry{Size: 1}, time.Second},
		{
			"until something frees by itself",
			func(s *scene) { s.arrive("a", Entry{Kind: 1, Next: next(42 * time.Second)}) },
			Entry{Size: 1, Kind: 1},
			42 * time.Second,
		},
		{
			"as long as those ahead will take",
			func(s *scene) {
				serve(s, 10, 3*time.Second)
				s.arrive("second", Entry{})
			},
			Entry{Size: 2},
			9 * time.Second,
		},
		{
			"no longer than that for those behind",
			func(s *scene) {
				serve(s, 10, 3*time.Second)
				for range 5 {
					s.arrive("behind", Entry{Priority: 1})
				}
			},
			Entry{Size: -1},
			6 * time.Second,
		},
		{
			"the longer of the two",
			func(s *scene) { serve(s, 10, 3*time.Second) },
			Entry{Size: 1, Kind: 1, Next: next(time.Minute)},
			time.Minute,
		},
		{
			"never less than a second",
			func(s *scene) { serve(s, 100, time.Millisecond) },
			Entry{Size: 1},
			time.Second,
		},
		{
			"at the pace of late",
			func(s *scene) {
				serve(s, 100, time.Minute)
				serve(s, paced, 2*time.Second)
			},
			Entry{Size: -1},
			6 * time.Second,
		},
		{
			"longer the longer nobody is served",
			func(s *scene) {
				serve(s, 1, time.Second)
				time.Sleep(19 * time.Second)
			},
			Entry{Size: 1},
			40 * time.Second,
		},
		{
			"an hour at most for those ahead",
			func(s *scene) {
				s.arrive("first", Entry{})
				time.Sleep(23 * time.Hour)
				s.release(1)
				for range 10 {
					s.arrive("ahead", Entry{})
				}
			},
			Entry{Size: 1},
			time.Hour,
		},
		{
			"not for the time in which nobody waits",
			func(s *scene) {
				for range 3 {
					s.arrive("served", Entry{})
					time.Sleep(2 * time.Second)
					s.release(1)
					time.Sleep(time.Hour)
				}
				s.arrive("a", Entry{})
			},
			Entry{Size: 1},
			4 * time.Second,
		},
		{
			"not by those who need not wait",
			func(s *scene) {
				s.arrive("first", Entry{Timeout: time.Hour})
				for range 3 {
					time.Sleep(10 * time.Second)
					s.arrive("served", Entry{Kind: 1, Take: func() bool { return true }})
				}
			},
			Entry{Size: 1},
			time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onScene(t, func(t *testing.T, s *scene) {
				tt.setup(s)
				w := s.arrive("new", tt.entry)
				w.want(t, Refused)
				if w.outcome.Predicted != tt.want {
					t.Errorf("predicted %v, want %v", w.outcome.Predicted, tt.want)
				}
				s.release(s.q.Waiting())
			})
		})
	}
	t.Run("the shed and the late are told, too", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			serve(s, 10, 3*time.Second)
			late := s.arrive("late", Entry{Priority: 1, Timeout: time.Second})
			<-late.done
			shed := s.arrive("shed", Entry{Priority: 1})
			s.arrive("urgent", Entry{Size: 2})
			for _, w := range []*wait{late, shed} {
				if got := w.outcome.Predicted; got < 6*time.Second || got > 10*time.Second {
					t.Errorf("%s: predicted %v, want two or three gaps of about 3s", w.name, got)
				}
			}
			shed.want(t, Shed)
			late.want(t, TimedOut)
			s.release(2)
		})
	})
	t.Run("a long wait that is foretold comes true", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			serve(s, 40, 500*time.Millisecond)
			for i := range 20 {
				s.arrive(fmt.Sprint(i), Entry{})
			}
			told := s.arrive("told", Entry{Size: 1}).outcome.Predicted
			w := s.arrive("new", Entry{})
			for range 22 {
				time.Sleep(500 * time.Millisecond)
				s.release(1)
			}
			w.want(t, Taken)
			if w.after != told {
				t.Errorf("predicted %v, waited %v", told, w.after)
			}
		})
	})
}

func TestPaceOfAges(t *testing.T) {
	p := pace{before: math.MaxInt64 / 2, grants: 1}
	if got, ok := p.timeFor(1_000_000, 0); got != mostPaced || !ok {
		t.Errorf("got %v, %v, want %v", got, ok, mostPaced)
	}
}
