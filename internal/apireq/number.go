package apireq

import (
	"math"
	"strconv"
)

// maxNumberLen is the longest number with a fraction or exponent that is
// worked out. Nothing that means a token count is longer.
const maxNumberLen = 64

// count reads a JSON number as a count: a fraction is cut off, less than 0 or
// anything but a number is 0, and the rest ends at maxCount.
func count(value []byte) int {
	if len(value) == 0 || value[0] < '0' || value[0] > '9' {
		return 0
	}
	n := 0
	for i, c := range value {
		if c < '0' || c > '9' {
			return fractional(value[i:], value)
		}
		n = min(n*10+int(c-'0'), maxCount)
	}
	return n
}

// fractional reads a number such as 1e3 or 12.5; rest begins after its first
// digits.
func fractional(rest, value []byte) int {
	if rest[0] != '.' && rest[0]|0x20 != 'e' {
		return 0
	}
	if len(value) > maxNumberLen {
		return maxCount
	}
	v, err := strconv.ParseFloat(string(value), 64)
	switch {
	case v >= maxCount: // infinity, too
		return maxCount
	case err != nil || math.IsNaN(v):
		return 0
	}
	return int(v)
}

// numPredict is num_predict in Ollama's options, given the value of options.
func numPredict(options []byte) int {
	m, err := membersOf(options)
	if err != nil {
		return 0
	}
	n := 0
	for m.next() {
		if string(m.key) == "num_predict" {
			n = count(options[m.start:m.end])
		}
	}
	return n
}
