package state

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// member is a deployment that is attached, and the Link to it.
type member struct {
	store *Redis
	d     Shared
	key   string
	id    string // names the member in batches and messages

	useKey, coolKey, leadKey, healthKey string

	refs   int          // the store's lock protects it; 0: about to leave
	active atomic.Int64 // when it was last used here, in Unix nanoseconds
	offset atomic.Int64 // how far the clock of its server is ahead, in microseconds; 0: not known
	batch  batch        // of the goroutine that shares

	mu      sync.Mutex // protects what follows
	number  uint64     // of the last message
	pending struct{ cooldown, health *announcement }
	heard   string // the last cooldown that others told, so that it is told once
	result  healthResult
}

// Attach connects a deployment with those of the same key in other instances.
func (s *Redis) Attach(key string, d Shared) (Link, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.byKey[key], func(m *member) bool { return m.d == d })
	var m *member
	if i >= 0 {
		m = s.byKey[key][i]
	} else {
		m = s.newMember(key, d)
		s.members = append(s.members, m)
		s.byKey[key] = append(s.byKey[key], m)
		s.reconcile.Store(true)
	}
	m.refs++
	return m, sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		m.refs-- // the next round hands over what is left, and forgets it
	})
}

func (s *Redis) newMember(key string, d Shared) *member {
	begin := s.options.Prefix + "{" + tag.Replace(key) + "}:"
	return &member{
		store: s, d: d, key: key, id: strings.ToLower(rand.Text()),
		useKey: begin + "use", coolKey: begin + "cool", leadKey: begin + "lead", healthKey: begin + "health",
	}
}

// tag keeps a key from ending the hash tag early, which is what puts the keys of
// one deployment on one slot of a Cluster.
var tag = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// attached are the members at the moment, in a slice that is reused.
func (s *Redis) attached(dst []*member) []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(dst[:0], s.members...)
}

// named are the members of a key.
func (s *Redis) named(key string) []*member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.byKey[key])
}

// forget drops a member that nobody is attached to any more, and reports
// whether it did.
func (s *Redis) forget(m *member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.refs > 0 {
		return false
	}
	is := func(other *member) bool { return other == m }
	s.members = slices.DeleteFunc(s.members, is)
	if s.byKey[m.key] = slices.DeleteFunc(s.byKey[m.key], is); len(s.byKey[m.key]) == 0 {
		delete(s.byKey, m.key)
	}
	return true
}

func (m *member) leaving() bool {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	return m.refs == 0
}

// touch keeps what others use up to date here for a while.
func (m *member) touch(now time.Time) { m.active.Store(now.UnixNano()) }

// Interface guard
var _ Link = (*member)(nil)
