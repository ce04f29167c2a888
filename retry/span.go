package retry

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxHint is the longest wait that can be meant. What is above is a number of
	// another kind, or a joke.
	maxHint = 10 * 365 * 24 * time.Hour
	// maxSpan is how many bytes of a text can be a span of time.
	maxSpan = 64
)

// spanOf turns a number of units into a duration, ok false when it cannot be a
// wait.
func spanOf(n float64, unit time.Duration) (time.Duration, bool) {
	ns := math.Round(n * float64(unit))
	if !(ns >= 0 && ns <= float64(maxHint)) { // NaN fails both
		return 0, false
	}
	return time.Duration(ns), true
}

// until is the wait until a point in time; what is past is none.
func until(at, now time.Time) (time.Duration, bool) {
	d := at.Sub(now) // saturates
	if d < 0 || d > maxHint {
		return 0, false
	}
	return d, true
}

// parseMillis reads a number of milliseconds.
func parseMillis(s string) (time.Duration, bool) {
	n, rest, ok := leadingNumber(strings.TrimSpace(s))
	if !ok || rest != "" {
		return 0, false
	}
	return spanOf(n, time.Millisecond)
}

// parseRetryAfter reads the value of a Retry-After header.
func parseRetryAfter(s string, now time.Time) (time.Duration, bool) {
	if d, ok := parseSpan(s); ok {
		return d, true
	}
	if at, err := http.ParseTime(strings.TrimSpace(s)); err == nil {
		return until(at, now)
	}
	return 0, false
}

// parseReset reads the value of a reset header: a span, a number of seconds, a
// point in time in seconds or milliseconds since 1970, RFC 3339 or an HTTP date.
func parseReset(s string, now time.Time) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if n, rest, ok := leadingNumber(s); ok && rest == "" {
		switch {
		case n >= 1e14: // beyond the year 5000
			return 0, false
		case n >= 1e11:
			return until(time.UnixMilli(int64(n)), now)
		case n >= 1e9: // 2001; as a wait, more than 30 years
			whole, fraction := math.Modf(n)
			return until(time.Unix(int64(whole), int64(fraction*1e9)), now)
		}
		return spanOf(n, time.Second)
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return until(at, now)
	}
	return parseRetryAfter(s, now)
}

// parseSpan reads a span that is the whole of s: "59", "0.5", "6ms", "1m30s".
func parseSpan(s string) (time.Duration, bool) {
	d, rest, ok := leadingSpan(strings.TrimSpace(s))
	if !ok || rest != "" {
		return 0, false
	}
	return d, true
}

// leadingSpan reads the span that s begins with, with units in any common
// spelling and without a unit in seconds: "9m38.016s", "59 seconds", "1 hour 5
// minutes".
func leadingSpan(s string) (d time.Duration, rest string, ok bool) {
	total := 0.0
	for {
		n, after, found := leadingNumber(s)
		if !found {
			break
		}
		length := 0
		blank := strings.TrimLeft(after, " ")
		for length < len(blank) && isUnitByte(blank[length]) {
			length++
		}
		if length == 0 && !ok { // a bare number
			d, ok = spanOf(n, time.Second)
			return d, after, ok
		}
		unit, known := unitOf(blank[:length])
		if !known {
			break
		}
		total += n * float64(unit)
		rest, ok = blank[length:], true
		s = strings.TrimLeft(rest, " ")
	}
	if !ok {
		return 0, s, false
	}
	d, ok = spanOf(total, 1)
	return d, rest, ok
}

// leadingNumber reads the unsigned decimal number that s begins with. A full
// stop behind it is not part of it.
func leadingNumber(s string) (n float64, rest string, ok bool) {
	end, dots := 0, 0
	for end < len(s) && (isDigit(s[end]) || s[end] == '.' && dots == 0 && end+1 < len(s) && isDigit(s[end+1])) {
		if s[end] == '.' {
			dots++
		}
		end++
	}
	n, err := strconv.ParseFloat(s[:end], 64)
	return n, s[end:], err == nil
}

// isUnitByte takes the letters of units and the two bytes of µ.
func isUnitByte(c byte) bool { return isWord(c) && !isDigit(c) || c >= 0x80 }

// unitOf knows the units of time by their usual names.
func unitOf(name string) (time.Duration, bool) {
	switch strings.ToLower(name) {
	case "ns":
		return time.Nanosecond, true
	case "us", "µs", "μs":
		return time.Microsecond, true
	case "ms", "msec", "msecs", "millisecond", "milliseconds":
		return time.Millisecond, true
	case "s", "sec", "secs", "second", "seconds":
		return time.Second, true
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute, true
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour, true
	case "d", "day", "days":
		return 24 * time.Hour, true
	}
	return 0, false
}
