package cli

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxName    = 80  // characters of a model, pool or deployment that are kept
	maxMessage = 200 // characters of an error that are kept
)

// printable makes a server's text fit for one line of a terminal: without
// control characters, which could move the cursor or worse, and no longer than
// limit characters.
func printable(s string, limit int) string {
	if len(s) > 8*limit { // enough for limit characters, whatever is taken out
		s = s[:8*limit]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-3]) + "..."
}

// orDash stands in for what the answer does not say.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// brief is a duration with as many digits as tell something.
func brief(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

// plural is a count with its noun.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if before, ok := strings.CutSuffix(one, "y"); ok {
		return strconv.Itoa(n) + " " + before + "ies"
	}
	return strconv.Itoa(n) + " " + one + "s"
}
