package selection

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// PrefixTable remembers which deployments have seen which beginnings of prompts, in
// a fixed amount of memory: what was seen longest ago gives way. It is safe for
// concurrent use and takes no lock. When two write to one place at a time, one of
// them may be forgotten, or a deployment be taken to have seen what it has not:
// that costs a prompt that is read anew.
type PrefixTable struct {
	sets []prefixSet
	ttl  uint32 // seconds
}

const (
	// setSize and holders make a prefixSet two cache lines.
	setSize = 4
	holders = 3
	// anybody stands for all deployments, where more have seen a prefix than there
	// is room for.
	anybody = 1<<32 - 1
)

type prefixSet [setSize]prefixEntry

// prefixEntry is one beginning and the deployments that have seen it: their numbers
// above, when they last did in seconds below.
type prefixEntry struct {
	hash    atomic.Uint64 // 0 is an empty entry
	holders [holders]atomic.Uint64
}

// setBytes is the size of a prefixSet in memory.
const setBytes = setSize * (1 + holders) * 8

// NewPrefixTable makes a table of at most so many bytes, and at least one set of
// 128. What a deployment has not seen for ttl it has forgotten.
func NewPrefixTable(memory int64, ttl time.Duration) *PrefixTable {
	return &PrefixTable{
		sets: make([]prefixSet, max(memory/setBytes, 1)),
		ttl:  uint32(min(ttl/time.Second, 1<<31)),
	}
}

func (t *PrefixTable) set(hash uint64) *prefixSet {
	i, _ := bits.Mul64(hash, uint64(len(t.sets)))
	return &t.sets[i]
}

// find is the entry of a beginning; nil where nobody has seen it.
func (t *PrefixTable) find(hash uint64) *prefixEntry {
	set := t.set(hash)
	for i := range set {
		if set[i].hash.Load() == hash {
			return &set[i]
		}
	}
	return nil
}

// fresh tells who has seen what a holder's word is about, and whether they still
// remember it.
func (t *PrefixTable) fresh(holder uint64, now uint32) (number uint32, ok bool) {
	return uint32(holder >> 32), holder != 0 && now-uint32(holder) <= t.ttl
}

// note takes down that a deployment has seen a beginning, and tells whether it had
// before.
func (t *PrefixTable) note(hash uint64, number, now uint32) (had bool) {
	e := t.find(hash)
	if e == nil {
		e = t.set(hash).oldest()
		for i := range e.holders {
			e.holders[i].Store(0)
		}
		e.hash.Store(hash)
	}
	place := -1
	for i := range e.holders {
		word := e.holders[i].Load()
		who, ok := t.fresh(word, now)
		switch {
		case ok && (who == number || who == anybody):
			if uint32(word) != now { // else it is known already, and others may be reading
				e.holders[i].Store(uint64(who)<<32 | uint64(now))
			}
			return true
		case !ok && place < 0:
			place = i
		}
	}
	if place >= 0 {
		e.holders[place].Store(uint64(number)<<32 | uint64(now))
		return false
	}
	for i := 1; i < holders; i++ {
		e.holders[i].Store(0)
	}
	e.holders[0].Store(anybody<<32 | uint64(now))
	return false
}

// oldest is the entry that gives way to a new one.
func (s *prefixSet) oldest() *prefixEntry {
	oldest, since := &s[0], uint32(1<<32-1)
	for i := range s {
		if s[i].hash.Load() == 0 {
			return &s[i]
		}
		last := uint32(0)
		for j := range s[i].holders {
			last = max(last, uint32(s[i].holders[j].Load()))
		}
		if last < since {
			oldest, since = &s[i], last
		}
	}
	return oldest
}

// numbers counts the deployments that have been given a number.
var numbers atomic.Uint32

// numbered is the number of a deployment in tables of prefixes. No two have the
// same, so that a table may outlive deployments.
func (s *State) numbered() uint32 {
	for {
		if n := s.number.Load(); n != 0 {
			return n
		}
		s.number.CompareAndSwap(0, numbers.Add(1))
	}
}
