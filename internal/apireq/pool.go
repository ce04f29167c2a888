package apireq

import (
	"math/bits"
	"sync"
)

// Buffers come in powers of two between these sizes, in bytes. Smaller bodies
// get the smallest; larger ones get memory of their own.
const (
	minClassBits = 12 // 4 KiB
	maxClassBits = 26 // 64 MiB

	maxPooled = 1 << maxClassBits
)

// buffer is memory of exactly its class's size. The struct keeps sync.Pool
// from allocating a slice header on every Put.
type buffer struct{ data []byte }

var buffers [maxClassBits - minClassBits + 1]sync.Pool

// class is the index of the smallest size class that holds n bytes, n at most
// maxPooled.
func class(n int) int {
	if n <= 1<<minClassBits {
		return 0
	}
	return bits.Len(uint(n-1)) - minClassBits
}

// getBuffer returns memory of at least n bytes, not cleared.
func getBuffer(n int) *buffer {
	if n > maxPooled {
		return &buffer{data: make([]byte, n)}
	}
	c := class(n)
	if b, ok := buffers[c].Get().(*buffer); ok {
		return b
	}
	return &buffer{data: make([]byte, 1<<(c+minClassBits))}
}

// putBuffer gives memory back; the caller must not touch it again.
func putBuffer(b *buffer) {
	if len(b.data) <= maxPooled {
		buffers[class(len(b.data))].Put(b)
	}
}
