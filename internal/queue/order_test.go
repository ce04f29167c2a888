package queue

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestWhoGoesFirst(t *testing.T) {
	for _, tt := range []struct {
		name    string
		arrives func(*scene)
		want    []string
	}{
		{"among equals who came first", func(s *scene) {
			s.arrive("a", Entry{})
			s.arrive("b", Entry{})
			s.arrive("c", Entry{})
		}, []string{"a", "b", "c"}},
		{"the smaller priority", func(s *scene) {
			s.arrive("a", Entry{Priority: 1})
			s.arrive("b", Entry{})
			s.arrive("c", Entry{Priority: -1})
			s.arrive("d", Entry{Priority: 1})
			s.arrive("e", Entry{Priority: -1})
		}, []string{"c", "e", "b", "a", "d"}},
		{"priorities out of all bounds keep their order", func(s *scene) {
			s.arrive("a", Entry{Priority: math.MaxInt})
			s.arrive("b", Entry{})
			s.arrive("c", Entry{Priority: math.MinInt})
		}, []string{"c", "b", "a"}},
		{"before one aging step the priority alone", func(s *scene) {
			s.arrive("a", Entry{Priority: 1})
			time.Sleep(AgingStep - 1)
			s.arrive("b", Entry{})
		}, []string{"b", "a"}},
		{"after one aging step who waits as if one more important", func(s *scene) {
			s.arrive("a", Entry{Priority: 1})
			time.Sleep(AgingStep)
			s.arrive("b", Entry{})
		}, []string{"a", "b"}},
		{"after two steps, two", func(s *scene) {
			s.arrive("a", Entry{Priority: 3})
			s.arrive("b", Entry{Priority: 2})
			time.Sleep(2 * AgingStep)
			s.arrive("c", Entry{})
		}, []string{"b", "c", "a"}},
		{"age does not set those of one priority apart", func(s *scene) {
			for i := range 3 {
				s.arrive(fmt.Sprint("a", i), Entry{Team: "a"})
			}
			time.Sleep(10 * AgingStep)
			s.arrive("b0", Entry{Team: "b"})
		}, []string{"a0", "b0", "a1", "a2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onScene(t, func(t *testing.T, s *scene) {
				tt.arrives(s)
				s.release(len(tt.want))
				s.wantOrder(tt.want...)
			})
		})
	}
}

func TestNobodyOvertakes(t *testing.T) {
	onScene(t, func(t *testing.T, s *scene) {
		must := func(priority int, want bool) {
			t.Helper()
			if got := s.q.MustWait(time.Now(), priority); got != want {
				t.Errorf("a newcomer of priority %d must wait: got %v, want %v", priority, got, want)
			}
		}
		must(math.MaxInt, false)
		first := s.arrive("a", Entry{Priority: 2})
		must(3, true)
		must(2, true)
		must(1, false)
		must(math.MinInt, false)
		must(math.MaxInt, true)
		time.Sleep(AgingStep - 1)
		must(1, false)
		time.Sleep(1)
		must(1, true)
		must(0, false)
		second := s.arrive("b", Entry{Priority: -4})
		must(-4, true)
		must(-5, false)
		second.cancel()
		time.Sleep(1)
		must(0, false)
		first.cancel()
		time.Sleep(1)
		must(math.MaxInt, false)
	})
}

// A stream of newcomers who are more important cannot keep a waiter waiting.
func TestAgingIsBounded(t *testing.T) {
	for _, team := range []string{"a", "b"} {
		t.Run("a waiter of team "+team, func(t *testing.T) {
			onScene(t, func(t *testing.T, s *scene) {
				const priority = 3
				old := s.arrive("old", Entry{Priority: priority, Team: team, Tokens: 1000})
				begin := time.Now()
				for i := 0; len(s.order) < 100; i++ {
					s.arrive(fmt.Sprint(i), Entry{Team: "a", Tokens: 100})
					time.Sleep(time.Second)
					s.release(1)
					if s.order[len(s.order)-1] == "old" {
						break
					}
				}
				old.want(t, Taken)
				if got, want := time.Since(begin), priority*AgingStep+time.Second; got > want {
					t.Errorf("granted after %v, want %v at most", got, want)
				}
				if len(s.order) <= priority*int(AgingStep/time.Second)-1 {
					t.Errorf("granted after %d others, want its priority to count until it is old", len(s.order)-1)
				}
				s.release(s.q.Waiting())
			})
		})
	}
}
