package affinity

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	start = time.Unix(1_700_000_000, 0)
	kind  = NewKind("pool", "header")
)

func key(n int) Key { return KeyOf(&kind, "", fmt.Sprint(n)) }

func newSessions(t *Table, ttl time.Duration, size int, shared bool) *Sessions {
	return NewSessions(t, Options{TTL: ttl, Size: size, Shared: shared}, "pool", []string{"a", "b"})
}

// len is how many bindings there are, also of those that were not used for too long.
func (t *Table) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		if s.bindings != nil {
			n += s.bindings.Len()
		}
		s.mu.Unlock()
	}
	return n
}

// on checks on which deployment a session is; empty is none.
func on(t *testing.T, s *Sessions, at time.Time, key Key, want string) {
	t.Helper()
	if got, ok := s.Find(at, key); got != want || ok != (want != "") {
		t.Errorf("got the session on %q, %v; want %q", got, ok, want)
	}
}

func TestSessionsAreWhereTheyWereAnsweredLast(t *testing.T) {
	s := newSessions(new(Table), time.Hour, 1000, false)
	on(t, s, start, key(1), "")
	s.Bind(start, key(1), "a")
	s.Bind(start, key(2), "b")
	on(t, s, start, key(1), "a")
	on(t, s, start, key(2), "b")
	on(t, s, start, key(3), "")
	s.Bind(start, key(1), "b")
	on(t, s, start, key(1), "b")
	t.Run("and none is on none", func(t *testing.T) {
		s.Bind(start, Key{}, "a")
		on(t, s, start, Key{}, "")
	})
}

func TestSessionsAreForgotten(t *testing.T) {
	s := newSessions(new(Table), time.Minute, 1000, false)
	s.Bind(start, key(1), "a")
	on(t, s, start.Add(59*time.Second), key(1), "a")
	s.Bind(start.Add(59*time.Second), key(1), "a")
	on(t, s, start.Add(118*time.Second), key(1), "a")
	on(t, s, start.Add(119*time.Second), key(1), "")
}

func TestTableIsBounded(t *testing.T) {
	table := new(Table)
	s := newSessions(table, time.Hour, 320, false)
	for n := range 10_000 {
		s.Bind(start.Add(time.Duration(n)*time.Millisecond), key(n), "a")
		s.Bind(start.Add(time.Duration(n)*time.Millisecond), key(0), "b") // is in use
	}
	if got := table.len(); got > 320 || got < 300 {
		t.Errorf("got %d sessions in the table, want 320 or little less", got)
	}
	on(t, s, start.Add(10*time.Second), key(9_999), "a")
	on(t, s, start.Add(10*time.Second), key(5), "")
	on(t, s, start.Add(10*time.Second), key(0), "b")
	t.Run("by the newest size", func(t *testing.T) {
		s := newSessions(table, time.Hour, 32, false)
		for n := range 1000 {
			s.Bind(start.Add(time.Hour), key(n), "a")
		}
		if got := table.len(); got > 32 {
			t.Errorf("got %d sessions, want 32 at most", got)
		}
	})
}

func TestWhatIsForgottenTakesNoMemory(t *testing.T) {
	table := new(Table)
	s := newSessions(table, time.Minute, 1_000_000, false)
	for n := range 1000 {
		s.Bind(start, key(n), "a")
	}
	for n := range 1000 {
		s.Bind(start.Add(time.Hour), key(10_000+n), "a")
	}
	if got := table.len(); got > 1050 {
		t.Errorf("got %d sessions in the table, want the 1000 that are not forgotten and hardly more", got)
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	const ttl = time.Hour
	s := newSessions(new(Table), ttl, 1000, true)
	told := func(want ...Change) {
		t.Helper()
		if got := s.TakeChanges(nil, 100); !slices.Equal(got, want) {
			t.Errorf("got the changes %v, want %v", got, want)
		}
	}
	s.Bind(start, key(1), "a")
	told(Change{key(1), "a", true})
	s.Bind(start.Add(time.Second), key(1), "a")
	told()
	s.Bind(start.Add(time.Second), key(1), "b")
	told(Change{key(1), "b", false})
	s.Bind(start.Add(ttl/4), key(1), "b")
	told()
	s.Bind(start.Add(ttl/4+time.Second), key(1), "b")
	told(Change{key(1), "b", false}) // so that the others do not forget it
	t.Run("not what others have told", func(t *testing.T) {
		s.Learn(start, key(2), "a")
		on(t, s, start, key(2), "a")
		s.Bind(start, key(2), "a")
		told()
	})
	t.Run("a new one after it was forgotten", func(t *testing.T) {
		s.Bind(start.Add(3*ttl), key(1), "b")
		told(Change{key(1), "b", true})
	})
}

func TestChangesAreBounded(t *testing.T) {
	s := newSessions(new(Table), time.Hour, 1_000_000, true)
	for n := range 20_000 {
		s.Bind(start, key(n), "a")
	}
	first := s.TakeChanges(nil, 1000)
	rest := s.TakeChanges(nil, 1_000_000)
	if len(first) != 1000 || len(rest) != numShards*maxChanges-1000 {
		t.Errorf("got %d and %d changes, want 1000 and %d", len(first), len(rest), numShards*maxChanges-1000)
	}
	t.Run("and what was left out is told with the next use", func(t *testing.T) {
		told := make(map[Key]bool)
		for _, c := range append(first, rest...) {
			told[c.Key] = true
		}
		for n := range 20_000 {
			if k := key(n); !told[k] {
				s.Bind(start, k, "a")
				if got := s.TakeChanges(nil, 10); len(got) != 1 || got[0].Key != k {
					t.Fatalf("got %v, want a change of the session that was not told", got)
				}
				return
			}
		}
	})
}

func TestUnknownDeploymentsAreNotLearned(t *testing.T) {
	s := newSessions(new(Table), time.Hour, 1000, true)
	s.Bind(start, key(1), "a")
	s.Learn(start, key(1), "elsewhere")
	s.Learn(start, key(2), "elsewhere")
	s.Learn(start, Key{}, "a")
	on(t, s, start, key(1), "a")
	on(t, s, start, key(2), "")
}

// A table outlives configurations, which may have other deployments.
func TestTableOutlivesConfigurations(t *testing.T) {
	table := new(Table)
	newSessions(table, time.Hour, 1000, false).Bind(start, key(1), "a")
	on(t, newSessions(table, time.Minute, 10, false), start, key(1), "a")
}

func TestConcurrentUse(t *testing.T) {
	s := newSessions(new(Table), time.Hour, 100, true)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				now := start.Add(time.Duration(n) * time.Second)
				s.Bind(now, key(n%200), []string{"a", "b"}[g%2])
				s.Learn(now, key(n%150), "a")
				if id, ok := s.Find(now, key(n%200)); ok && id != "a" && id != "b" {
					t.Errorf("got a session on %q", id)
				}
				s.TakeChanges(nil, 10)
			}
		})
	}
	wg.Wait()
}

// What a request with a session costs more than one without.
func BenchmarkSession(b *testing.B) {
	s := newSessions(new(Table), time.Hour, 100_000, false)
	for n := range 100_000 {
		s.Bind(start, key(n), "a")
	}
	k := key(7)
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			KeyOf(&kind, "team", "0123456789abcdef0123456789abcdef")
		}
	})
	b.Run("find", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Find(start, k)
		}
	})
	b.Run("bind", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Bind(start, k, "a")
		}
	})
}

func TestSessionsCostNoMemory(t *testing.T) {
	s := newSessions(new(Table), time.Hour, 1000, false)
	s.Bind(start, key(7), "a")
	text := []byte("0123456789abcdef0123456789abcdef")
	if n := testing.AllocsPerRun(100, func() {
		k := KeyOf(&kind, "team", text)
		s.Find(start, k)
		s.Bind(start, key7, "a")
	}); n != 0 {
		t.Errorf("got %v allocations for a session, want none", n)
	}
}

var key7 = key(7)
