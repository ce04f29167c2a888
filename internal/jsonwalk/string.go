package jsonwalk

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// StringEnd returns the index after the string that opens at data[open], or -1
// when it does not close. data need not be valid; what stands in the string is
// not looked at.
func StringEnd(data []byte, open int) int {
	i := open + 1
	// Most strings are keys and short values, which end within two words. IndexByte
	// looks at more bytes at once, but is dear to begin.
	if i+16 <= len(data) {
		if mark := quotes(binary.LittleEndian.Uint64(data[i:])); mark != 0 {
			i += bits.TrailingZeros64(mark)/8 + 1
			if !escaped(data, i-1) {
				return i
			}
		} else if mark := quotes(binary.LittleEndian.Uint64(data[i+8:])); mark != 0 {
			i += 8 + bits.TrailingZeros64(mark)/8 + 1
			if !escaped(data, i-1) {
				return i
			}
		} else {
			i += 16
		}
	}
	for {
		j := bytes.IndexByte(data[i:], '"')
		if j < 0 {
			return -1
		}
		if i += j + 1; !escaped(data, i-1) {
			return i
		}
	}
}

// escaped reports whether an odd number of backslashes stands before data[i]. Over a
// whole string every backslash is counted at most once, since a quote ends the run.
func escaped(data []byte, i int) bool {
	n := i
	for n > 0 && data[n-1] == '\\' {
		n--
	}
	return (i-n)&1 == 1
}

// quotes marks the quotes among eight bytes by their highest bits. The first mark
// is true; one above it may be a byte that follows a quote.
func quotes(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	w ^= ones * '"'
	return (w - ones) &^ w & highs
}
