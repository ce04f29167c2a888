package upstreams

import "sync"

// holdSize is the capacity that a hold buffer starts with; one that had to grow
// beyond maxPooledHold is left to the garbage collector.
const (
	holdSize      = 8 << 10
	maxPooledHold = 256 << 10
)

var holds = sync.Pool{New: func() any { b := make([]byte, 0, holdSize); return &b }}

// getHold gives an empty buffer for bytes that are held back.
func getHold() []byte { return (*holds.Get().(*[]byte))[:0] }

// putHold takes a buffer back; nobody may use it any more.
func putHold(b []byte) {
	if cap(b) <= maxPooledHold {
		holds.Put(&b)
	}
}
