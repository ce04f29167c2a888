package cache

import (
	"math"
	"time"

	"github.com/maypok86/otter/v2"
)

// memory keeps entries in the memory of the process, of a size that is bounded in
// bytes. What is used seldom goes first.
type memory struct{ entries *otter.Cache[Key, *Entry] }

func newMemory(size int64) memory {
	return memory{otter.Must(&otter.Options[Key, *Entry]{
		MaximumWeight: uint64(size),
		Weigher:       func(_ Key, e *Entry) uint32 { return uint32(min(e.size(), math.MaxUint32)) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, *Entry]) time.Duration {
			return e.Value.Expires.Sub(e.SnapshotAt())
		}),
	})}
}

func (m memory) get(key Key) *Entry {
	e, _ := m.entries.GetIfPresent(key)
	return e
}

func (m memory) put(key Key, e *Entry) { m.entries.Set(key, e) }

// close ends what works in the background.
func (m memory) close() { m.entries.StopAllGoroutines() }
