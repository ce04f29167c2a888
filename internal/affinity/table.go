package affinity

import (
	"encoding/binary"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Table remembers on which deployments sessions are. It outlives configurations. The
// zero Table is an empty one. It is safe for concurrent use.
type Table struct{ shards [numShards]shard }

const (
	// numShards are so many that requests of different sessions hardly ever wait for
	// each other.
	numShards = 32
	// maxChanges is how much of what is to be told a shard keeps. What is more than that
	// is told when the session is used the next time.
	maxChanges = 256
)

// shard is the part of a Table that has some of the keys.
type shard struct {
	mu       sync.Mutex // protects all of it
	bindings *simplelru.LRU[Key, binding]
	changes  []Change
}

// binding is the deployment that a session is on.
type binding struct {
	deployment string
	used       int64 // when it was last used, in Unix nanoseconds
	told       int64 // when other instances were last told, or told it; 0 is never
}

// Change is a binding that other instances are to know.
type Change struct {
	Key        Key
	Deployment string
	// First tells that the session was not known here: another instance may know
	// better where it is.
	First bool
}

func (t *Table) shard(key Key) *shard {
	return &t.shards[binary.LittleEndian.Uint64(key[:])%numShards]
}

// find gives the binding of a key that was used since.
func (s *shard) find(key Key, since int64) (binding, bool) {
	if s.bindings == nil {
		return binding{}, false
	}
	if b, ok := s.bindings.Peek(key); ok && b.used > since {
		return b, true
	}
	return binding{}, false
}

// put keeps a binding, as the one that was used last. It forgets what was not used
// since then, a little each time, and what is more than the limit.
func (s *shard) put(key Key, b binding, since int64, limit int) {
	if s.bindings == nil {
		s.bindings, _ = simplelru.NewLRU[Key, binding](math.MaxInt, nil) // bounded below
	}
	s.bindings.Add(key, b)
	for range 2 {
		if _, oldest, _ := s.bindings.GetOldest(); oldest.used > since {
			break
		}
		s.bindings.RemoveOldest()
	}
	for s.bindings.Len() > limit {
		s.bindings.RemoveOldest()
	}
}

// note keeps a change for other instances; false when there are too many.
func (s *shard) note(c Change) bool {
	if len(s.changes) >= maxChanges {
		return false
	}
	s.changes = append(s.changes, c)
	return true
}
