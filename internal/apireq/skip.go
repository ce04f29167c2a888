package apireq

import (
	"encoding/binary"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
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

// skipValue returns the index after the value that begins at b[i]; i is within
// b. With an error the index is the place of the fault.
func skipValue(b []byte, i int) (int, error) {
	switch b[i] {
	case '"':
		if end := jsonwalk.StringEnd(b, i); end > 0 {
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
// Brackets must match in kind down to maxKinds levels.
func skipNested(b []byte, i int) (int, error) {
	open := i
	var depth uint
	var kinds uint64 // bit d is set when level d is an object; a shift beyond it is 0
	for i < len(b) {
		c := b[i]
		i++
		switch {
		case c == '"':
			end := jsonwalk.StringEnd(b, i-1)
			if end < 0 {
				return i - 1, ErrUnterminated
			}
			i = end
		case c|bracketBits == bracketOnes:
			switch c {
			case '{':
				kinds |= 1 << depth
				depth++
			case '[':
				kinds &^= 1 << depth
				depth++
			case '}', ']':
				depth--
				if kinds>>depth&1 == 1 != (c == '}') && depth < maxKinds {
					return i - 1, ErrSyntax
				}
				if depth == 0 {
					return i, nil
				}
			}
		case c == ',' || c == ':' || c == ' ': // mostly a quote comes next
		default:
			for i+8 <= len(b) && !hasMark(binary.LittleEndian.Uint64(b[i:])) {
				i += 8
			}
		}
	}
	return open, ErrUnterminated
}

// All four brackets, and of other bytes only Y, _, y and DEL, give bracketOnes when
// OR-ed with bracketBits.
const bracketBits, bracketOnes = 0x26, 0x7f

// hasMark reports whether one of eight bytes may be a quote or a bracket. This
// makes arrays of numbers, such as token ids, cheap to skip.
func hasMark(w uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote := w ^ ones*'"'
	bracket := w | ones*bracketBits ^ ones*bracketOnes
	return ((quote-ones)&^quote|(bracket-ones)&^bracket)&highs != 0
}
