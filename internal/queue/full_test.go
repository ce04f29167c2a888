package queue

import (
	"fmt"
	"testing"
	"time"
)

func TestFull(t *testing.T) {
	t.Run("equals are refused", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("a", Entry{Size: 2})
			s.arrive("b", Entry{Size: 2})
			s.arrive("c", Entry{Size: 2}).want(t, Refused)
			s.release(2)
			s.wantOrder("a", "b")
		})
	})
	t.Run("who is less important is refused", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("a", Entry{Size: 1})
			s.arrive("b", Entry{Size: 1, Priority: 1}).want(t, Refused)
			s.release(1)
		})
	})
	t.Run("the least important is shed, of equals the latest", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			const size = 4
			waits := map[string]*wait{}
			for i, name := range []string{"a", "b", "c", "d"} {
				waits[name] = s.arrive(name, Entry{Size: size, Priority: []int{2, 1, 2, 1}[i]})
			}
			for _, victim := range []string{"c", "a", "d", "b"} {
				waits[victim].wantWaiting(t)
				s.arrive("urgent", Entry{Size: size}).wantWaiting(t)
				waits[victim].want(t, Shed)
				s.wantWaiting(size)
			}
			s.arrive("late", Entry{Size: size}).want(t, Refused)
			s.release(size)
		})
	})
	t.Run("age protects", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			old := s.arrive("old", Entry{Size: 2, Priority: 2})
			time.Sleep(AgingStep)
			young := s.arrive("young", Entry{Size: 2, Priority: 2})
			s.arrive("a", Entry{Size: 2, Priority: 1}).wantWaiting(t)
			young.want(t, Shed)
			s.arrive("b", Entry{Size: 2, Priority: 1}).want(t, Refused)
			old.wantWaiting(t)
			s.release(2)
			s.wantOrder("old", "a")
		})
	})
	t.Run("a flood of one team keeps no other out", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			const size = 10
			held := func() (n int) {
				if team := s.q.teams.named["quiet"]; team != nil {
					n = team.waiting
				}
				return n
			}
			for i := range size {
				s.arrive(fmt.Sprint("flood", i), Entry{Size: size, Team: "flood"})
			}
			for range size {
				s.arrive("quiet", Entry{Size: size, Team: "quiet"})
				s.arrive("flood", Entry{Size: size, Team: "flood"})
				s.wantWaiting(size)
			}
			if got := held(); got != size/2 {
				t.Errorf("the quiet team has %d places of %d, want half of them", got, size)
			}
			s.release(size)
		})
	})
	t.Run("a full queue serves whom those ahead leave something", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("a", Entry{Size: 1, Kind: 1})
			s.arrive("b", Entry{Size: 1, Kind: 2, Take: func() bool { return true }}).want(t, Taken)
			s.wantWaiting(1)
			s.release(1)
		})
	})
	t.Run("what a newcomer finds free goes to those ahead", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			a := s.arrive("a", Entry{Size: 1, Kind: 1})
			s.slots.free.Add(1) // its Dispatch is yet to come
			second := s.arrive("b", Entry{Size: 1, Kind: 2})
			a.want(t, Taken)
			second.wantWaiting(t)
			s.release(1)
		})
	})
	t.Run("a smaller bound sends away one for one", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			for range 5 {
				s.arrive("a", Entry{Size: 5, Priority: 1})
			}
			s.arrive("b", Entry{Size: 2})
			s.wantWaiting(5)
			s.arrive("c", Entry{Size: 2, Priority: 1}).want(t, Refused)
			s.release(5)
		})
	})
	t.Run("without places a newcomer is served or refused", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("a", Entry{Priority: 1})
			s.arrive("b", Entry{Size: -1}).want(t, Refused)
			s.wantWaiting(1)
			s.arrive("c", Entry{Size: -1, Kind: 2, Take: func() bool { return true }}).want(t, Taken)
			s.release(1)
		})
	})
}
