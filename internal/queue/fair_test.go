package queue

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

func TestTeamsShareByTokens(t *testing.T) {
	const large, small = 10_000, 100
	for _, tt := range []struct {
		name   string
		others int // grants of a class above, between two of the teams
	}{
		{"alone", 0},
		{"with what is left over by a more important class", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onScene(t, func(t *testing.T, s *scene) {
				var granted [2]int64 // both teams have waiters all the time
				arrive := func(team int, tokens int64) {
					s.arrive("", Entry{Team: fmt.Sprint(team), Priority: 1, Tokens: tokens, Take: func() bool {
						if !s.slots.take() {
							return false
						}
						granted[team] += tokens
						return true
					}})
				}
				for range 2000 {
					arrive(1, small)
				}
				for range 50 {
					arrive(0, large)
				}
				for s.q.Waiting() > 1000 {
					for range tt.others {
						s.arrive("above", Entry{Team: "2", Tokens: 500_000})
						s.release(1)
					}
					s.release(1)
					if diff := granted[0] - granted[1]; diff > large+small || -diff > large+small {
						t.Fatalf("%d and %d tokens granted, want a difference of %d at most",
							granted[0], granted[1], large+small)
					}
				}
				if granted[0] < 5*large {
					t.Errorf("the team of large requests has got %d tokens, want its share", granted[0])
				}
				s.release(s.q.Waiting())
			})
		})
	}
}

func TestTeams(t *testing.T) {
	t.Run("a team that was away has saved nothing up", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			for i := range 4 {
				s.arrive(fmt.Sprint("a", i), Entry{Team: "a", Tokens: 100})
			}
			s.release(2)
			s.arrive("b0", Entry{Team: "b", Tokens: 100})
			s.arrive("b1", Entry{Team: "b", Tokens: 100})
			s.release(4)
			s.wantOrder("a0", "a1", "a2", "b0", "a3", "b1")
		})
	})
	t.Run("not even when it comes back before it is forgotten", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("b0", Entry{Team: "b", Tokens: 100})
			for i := range 5 {
				s.arrive(fmt.Sprint("a", i), Entry{Team: "a", Tokens: 100})
			}
			s.slots.free.Store(4)
			s.q.Dispatch()
			s.arrive("b1", Entry{Team: "b", Tokens: 100})
			s.arrive("b2", Entry{Team: "b", Tokens: 100})
			s.release(4)
			s.wantOrder("b0", "a0", "a1", "a2", "a3", "b1", "a4", "b2")
		})
	})
	t.Run("a team that could not be served does not get all it has missed", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			blocked := true
			for range 20 {
				s.arrive("a", Entry{Team: "a", Tokens: 100, Kind: "blocked", Take: func() bool {
					return !blocked && s.slots.take()
				}})
			}
			for range 60 {
				s.arrive("b", Entry{Team: "b", Tokens: 100})
				s.arrive("c", Entry{Team: "c", Tokens: 200})
			}
			s.release(60) // 40 of b and 20 of c
			s.order, blocked = nil, false
			s.release(12)
			counts := map[string]int{}
			for _, name := range s.order {
				counts[name]++
			}
			// Four more than the others have in tokens, which is as far as they can
			// be ahead: twice the largest request.
			if counts["a"] < 7 || counts["a"] > 8 || counts["b"] < counts["c"] {
				t.Errorf("granted %v, want a little more than its share for a, and b before c", counts)
			}
			s.release(s.q.Waiting())
		})
	})
	t.Run("a team that leaves in debt still is when it comes back", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			s.arrive("b0", Entry{Team: "b", Tokens: 10_000})
			for i := range 3 {
				s.arrive(fmt.Sprint("a", i), Entry{Team: "a", Tokens: 10})
			}
			s.release(1)
			s.arrive("b1", Entry{Team: "b", Tokens: 10})
			s.release(4)
			s.wantOrder("b0", "a0", "a1", "a2", "b1")
		})
	})
	t.Run("absurd estimates harm nobody else", func(t *testing.T) {
		onScene(t, func(t *testing.T, s *scene) {
			for _, tokens := range []int64{-1 << 63, 0, 1<<63 - 1} {
				for range 3 {
					s.arrive("x", Entry{Team: "x", Tokens: tokens})
				}
			}
			for range 3 {
				s.arrive("y", Entry{Team: "y", Tokens: 1000})
			}
			s.release(12)
			if len(s.order) != 12 {
				t.Errorf("%d granted, want 12", len(s.order))
			}
		})
	})
}

func TestTeamsAreForgotten(t *testing.T) {
	for _, tt := range []struct {
		name   string
		tokens int64
	}{
		{"that owe nothing", 1},
		{"that owe much", 1 << 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ts teams
			first := ts.join("first")
			for i := range 10 * mostIdle {
				team := ts.join(fmt.Sprint(i))
				ts.charge(team, tt.tokens)
				ts.quit(team)
				if n := len(ts.named); n != len(ts.ranked) || n != ts.idle+1 || n > mostIdle+1 {
					t.Fatalf("%d teams remembered, %d idle, want %d at most, all but one idle", n, ts.idle, mostIdle)
				}
			}
			if ts.named["first"] != first {
				t.Error("a team that waits is forgotten")
			}
		})
	}
}

func TestLevel(t *testing.T) {
	const largest = 50 // so gaps of up to 100 stay
	for _, tt := range []struct {
		name  string
		ahead []int64 // of teams a, b, c, ...
		idle  string  // those of them without waiters
		want  map[string]int64
	}{
		{"counts from the least", []int64{70, 20, 30}, "", map[string]int64{"a": 50, "b": 0, "c": 10}},
		{"keeps gaps that fairness makes", []int64{100, 0, 200}, "", map[string]int64{"a": 100, "b": 0, "c": 200}},
		{
			"closes wider ones and keeps the differences on either side",
			[]int64{0, 30, 1000, 1040, 1010, 5000},
			"",
			map[string]int64{"a": 0, "b": 30, "c": 130, "d": 170, "e": 140, "f": 270},
		},
		{"forgets idle ones behind the least", []int64{10, 20, 90}, "a", map[string]int64{"b": 0, "c": 70}},
		{"remembers idle ones that are ahead", []int64{10, 500, 20}, "b", map[string]int64{"a": 0, "b": 110, "c": 10}},
		{"forgets all when none waits", []int64{10, 500}, "ab", map[string]int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ts teams
			var joined []*team
			for i := range tt.ahead {
				joined = append(joined, ts.join(string(rune('a'+i))))
			}
			for i, team := range joined {
				team.ahead = tt.ahead[i]
				if strings.Contains(tt.idle, team.name) {
					ts.quit(team)
				}
			}
			ts.largest = largest
			ts.level()
			got := map[string]int64{}
			for _, team := range ts.ranked {
				got[team.name] = team.ahead
				if ts.named[team.name] != team {
					t.Errorf("%s is ranked but not known by name", team.name)
				}
			}
			if !maps.Equal(got, tt.want) || len(ts.named) != len(got) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
