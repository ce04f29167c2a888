package selection

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Listener hears that a deployment may take another request. It is called on
// the goroutine of whoever made room, or heard of it from another instance.
type Listener interface{ Dispatch() }

// listeners are those who wait for a place. Nobody does most of the time, so that
// who makes room has one word to look at then.
type listeners struct {
	snapshot atomic.Pointer[[]Listener] // nil for none
	mu       sync.Mutex                 // protects counts, and whoever changes snapshot holds it
	counts   map[Listener]int
}

func (s *listeners) now() []Listener {
	if all := s.snapshot.Load(); all != nil {
		return *all
	}
	return nil
}

// Listen makes l hear of every place that becomes free from now on. It is told
// once however often it listens, until Unlisten was called as often.
func (s *State) Listen(l Listener) { s.listening.change(l, 1) }

// Unlisten ends one Listen.
func (s *State) Unlisten(l Listener) { s.listening.change(l, -1) }

func (s *listeners) change(l Listener, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = make(map[Listener]int)
	}
	before := len(s.counts)
	if s.counts[l] += by; s.counts[l] == 0 {
		delete(s.counts, l)
	}
	switch len(s.counts) {
	case before: // who listens is the same
	case 0:
		s.snapshot.Store(nil)
	default:
		all := slices.Collect(maps.Keys(s.counts))
		s.snapshot.Store(&all)
	}
}
