package apireq

import (
	"bytes"
	"encoding/binary"
)

// maxKinds is how many levels of nesting are remembered by kind. Deeper ones
// are only counted, so that depth costs neither recursion nor memory.
const maxKinds = 64

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the index after the string that opens at b[i], or -1 when
// it does not close. A quote is escaped when an odd number of backslashes
// stands before it; every backslash is counted at most once, since a quote ends
// the run.
func skipString(b []byte, i int) int {
	for i++; ; {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			return -1
		}
		j += i
		n := j
		for n > i && b[n-1] == '\\' {
			n--
		}
		i = j + 1
		if (j-n)&1 == 0 {
			return i
		}
	}
}

// skipValue returns the index after the value that begins at b[i]; i is within
// b. With an error the index is the place of the fault.
func skipValue(b []byte, i int) (int, error) {
	switch b[i] {
	case '"':
		if end := skipString(b, i); end > 0 {
			return end, nil
		}
		return i, ErrUnterminated
	case '{', '[':
		return skipNested(b, i)
	}
	end := i
	for end < len(b) && isScalar(b[end]) {
		end++
	}
	switch {
	case end == len(b):
		return end, ErrUnterminated
	case end == i:
		return i, ErrSyntax
	}
	return end, nil
}

// isScalar reports whether c may be part of a number, true, false, null, or the
// NaN and Infinity that some encoders write. Whether they spell a valid value
// is the upstream's to judge.
func isScalar(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.'
}

// skipNested returns the index after the object or array that opens at b[i].
// Brackets must match in kind down to maxKinds levels. That costs nothing
// measurable on chats, and 5 % on a body of little but brackets.
func skipNested(b []byte, i int) (int, error) {
	open := i
	depth := 0
	var kinds uint64 // bit d is set when level d is an object
	for i < len(b) {
		switch b[i] {
		case '"':
			end := skipString(b, i)
			if end < 0 {
				return i, ErrUnterminated
			}
			i = end
			continue
		case '{':
			if depth < maxKinds {
				kinds |= 1 << depth
			}
			depth++
		case '[':
			if depth < maxKinds {
				kinds &^= 1 << depth
			}
			depth++
		case '}', ']':
			depth--
			if depth < maxKinds && kinds>>depth&1 == 1 != (b[i] == '}') {
				return i, ErrSyntax
			}
			if depth == 0 {
				return i + 1, nil
			}
		case ',', ':', ' ': // mostly a quote comes next
		default:
			for i+8 < len(b) && !hasMark(binary.LittleEndian.Uint64(b[i+1:])) {
				i += 8
			}
		}
		i++
	}
	return open, ErrUnterminated
}

// hasMark reports whether one of eight bytes may be a quote or a bracket. All
// four brackets, and of other bytes only Y, _, y and DEL, give 0x7f when OR-ed
// with 0x26. This makes arrays of numbers, such as token ids, cheap to skip.
func hasMark(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := w ^ ones*'"'
	bracket := w | ones*0x26 ^ ones*0x7f
	return ((quote-ones)&^quote|(bracket-ones)&^bracket)&highs != 0
}
