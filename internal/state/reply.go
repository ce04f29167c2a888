package state

import (
	"strconv"
	"strings"
	"time"
)

const (
	maxReply = 8 << 10 // a minute of the largest numbers is half of it
	maxCount = 1e15    // of requests or tokens within a second
)

// minuteReply is what minute.lua answers.
type minuteReply struct {
	ok      bool
	at      int64 // microseconds, by the clock of the server
	foreign uint64
	wait    time.Duration
	minute  []Spent
}

// parseMinute reads an answer of minute.lua; the minute is appended to dst. It
// believes nothing: whoever can write to Redis can also define what a script's
// hash stands for.
func parseMinute(text string, dst []Spent) (minuteReply, error) {
	if len(text) > maxReply {
		return minuteReply{}, ErrForeign
	}
	word, rest, _ := strings.Cut(text, " ")
	if word == "late" {
		return minuteReply{}, errLate
	}
	r := minuteReply{ok: word == "ok", minute: dst}
	at, rest, ok1 := nextNumber(rest, 0, 1<<62)
	foreign, rest, ok2 := nextNumber(rest, 0, 1000)
	if !ok1 || !ok2 {
		return minuteReply{}, ErrForeign
	}
	r.at, r.foreign = at, uint64(foreign)
	switch word {
	case "full":
		wait, rest, ok := nextNumber(rest, 1, minuteBuckets*1e6)
		if !ok || rest != "" {
			return minuteReply{}, ErrForeign
		}
		r.wait = time.Duration(wait) * time.Microsecond
		return r, nil
	case "ok":
		var ok bool
		if r.minute, ok = parseSpent(rest, dst); !ok {
			return minuteReply{}, ErrForeign
		}
		return r, nil
	}
	return minuteReply{}, ErrForeign
}

// parseSpent reads ages, requests and tokens, the oldest first.
func parseSpent(text string, dst []Spent) ([]Spent, bool) {
	last := int64(minuteBuckets)
	for text != "" {
		var s Spent
		var ok1, ok2, ok3 bool
		s.Age, text, ok1 = nextNumber(text, 0, last-1)
		s.Requests, text, ok2 = nextNumber(text, -maxCount, maxCount)
		s.Tokens, text, ok3 = nextNumber(text, -maxCount, maxCount)
		if !ok1 || !ok2 || !ok3 {
			return dst, false
		}
		last = s.Age
		dst = append(dst, s)
	}
	return dst, true
}

// nextNumber takes a number off the front of a text of numbers and blanks.
func nextNumber(text string, low, high int64) (n int64, rest string, ok bool) {
	word, rest, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(word, 10, 64)
	return n, rest, err == nil && n >= low && n <= high
}
