package apireq

import (
	"math/bits"
	"sync"
)

// Buffers come in powers of two from 4 KiB to 256 KiB, so that few sizes are kept
// ready for most bodies. Above, there are sixteen sizes from one power of two to the
// next: what a large body does not fill is at most a sixteenth of it. Larger ones
// than maxPooled get memory of their own.
const (
	minBits   = 12
	fineBits  = 18
	stepsBits = 4

	firstFine  = fineBits - minBits + 1
	numClasses = firstFine + (maxBits-fineBits)<<stepsBits

	maxBits   = 26 // 64 MiB
	maxPooled = 1 << maxBits

	// reach is in how many of the fine classes memory is looked for: with less of it
	// ready in each, a buffer that is a little large is better than a new one.
	reach = 4
)

// buffer is memory of exactly its class's size. The struct keeps sync.Pool
// from allocating a slice header on every Put.
type buffer struct{ data []byte }

var buffers [numClasses]sync.Pool

// class is the index of the smallest size class that holds n bytes, and its size;
// n is at most maxPooled.
func class(n int) (index, size int) {
	last := max(n, 1) - 1
	exp := max(bits.Len(uint(last)), minBits) // of the next power of two
	if exp <= fineBits {
		return exp - minBits, 1 << exp
	}
	shift := exp - 1 - stepsBits
	step := last>>shift - 1<<stepsBits // of those behind the last power of two
	return firstFine + (exp-1-fineBits)<<stepsBits + step, (last>>shift + 1) << shift
}

// getBuffer returns memory of at least n bytes, not cleared.
func getBuffer(n int) *buffer {
	if n > maxPooled {
		return &buffer{data: make([]byte, n)}
	}
	first, size := class(n)
	end := first + 1
	if first >= firstFine {
		end = min(first+reach, numClasses)
	}
	for c := first; c < end; c++ {
		if b, ok := buffers[c].Get().(*buffer); ok {
			return b
		}
	}
	return &buffer{data: make([]byte, size)}
}

// putBuffer gives memory back; the caller must not touch it again.
func putBuffer(b *buffer) {
	if len(b.data) <= maxPooled {
		c, _ := class(len(b.data))
		buffers[c].Put(b)
	}
}

// resize moves the first n bytes of a buffer into one of at least size bytes.
func resize(old *buffer, n, size int) *buffer {
	buf := getBuffer(size)
	copy(buf.data, old.data[:n])
	putBuffer(old)
	return buf
}

// fit moves the first n bytes of a buffer into a smaller one where that leaves out a
// fifth or more: a body is held for as long as its answer takes.
func fit(buf *buffer, n int) *buffer {
	if _, size := class(n); size+size/4 <= len(buf.data) {
		return resize(buf, n, n)
	}
	return buf
}
