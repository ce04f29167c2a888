package retry

import (
	"net/http"
	"strings"
	"time"
)

// Wait returns how long an upstream asks to be left alone, ok false when it
// says nothing of the kind. The first of these that is more than zero counts:
//
//  1. Retry-After-Ms, in milliseconds;
//  2. Retry-After, in seconds with or without fraction, or an HTTP date;
//  3. a member of the body made for it: retryDelay, retry_after and the like;
//  4. a sentence in the body: "try again in 9m38.016s";
//  5. the reset headers: X-Ratelimit-Reset*, Ratelimit-Reset and
//     Anthropic-Ratelimit-*-Reset. Of several limits the one counts that has
//     nothing remaining, or else the longest wait.
//
// The body comes before the reset headers because it is about this failure;
// they tell when a limit is whole again, which may be much later. If all that
// is stated is zero, the wait is zero. Negative waits, times in the past and
// anything above ten years are ignored. The result depends on the arguments
// alone.
func Wait(header http.Header, body []byte, now time.Time) (d time.Duration, ok bool) {
	steps := [...]func() (time.Duration, bool){
		func() (time.Duration, bool) { return parseMillis(header.Get("Retry-After-Ms")) },
		func() (time.Duration, bool) { return parseRetryAfter(header.Get("Retry-After"), now) },
		func() (time.Duration, bool) { return waitInBody(body, now) },
		func() (time.Duration, bool) { return waitOfResets(header, now) },
	}
	for _, step := range steps {
		stated, found := step()
		if stated > 0 {
			return stated, true
		}
		ok = ok || found
	}
	return 0, ok
}

// waitInBody returns the wait that a body states, a member made for it before a
// sentence; of several the longest.
func waitInBody(body []byte, now time.Time) (time.Duration, bool) {
	var members, sentences longest
	walk(body, func(f field, value []byte) {
		switch {
		case f&fieldSeconds != 0:
			members.add(parseSpan(string(value[:min(len(value), maxSpan)])))
		case f&fieldMillis != 0:
			members.add(parseMillis(string(value[:min(len(value), maxSpan)])))
		case f&fieldReset != 0:
			members.add(parseReset(string(value[:min(len(value), maxSpan)]), now))
		case f&fieldText != 0:
			sentences.add(waitInText(value))
		}
	})
	if members.wait > 0 || !sentences.found {
		return members.wait, members.found
	}
	return sentences.wait, true
}

// waitAnchors are the words that a wait follows in a sentence, in match's
// syntax.
var waitAnchors = []string{
	"try again in ", "try again after ", "retry in ", "retry after ", "retry your request in ", "retry your request after ",
	"wait ", "wait for ", "available in ", "reset in ", "resets in ", "reset after ", "resets after ",
}

// waitInText returns the longest wait that the sentences of a text state.
func waitInText(text []byte) (time.Duration, bool) {
	var stated longest
	for i := range text {
		switch lower(text[i]) {
		case 't', 'r', 'w', 'a': // the first letters of waitAnchors
		default:
			continue
		}
		if !wordStart(text, i) {
			continue
		}
		for _, anchor := range waitAnchors {
			end := match(text, i, anchor)
			if end >= 0 && end < len(text) && text[end] == '~' {
				end++
			}
			// The blank may have eaten a minus.
			if end < 0 || end == len(text) || !isDigit(text[end]) || text[end-1] == '-' {
				continue
			}
			d, _, ok := leadingSpan(string(text[end:min(end+maxSpan, len(text))]))
			stated.add(d, ok)
		}
	}
	return stated.wait, stated.found
}

// waitOfResets returns the wait until the limits of the reset headers are there
// again: of those with nothing remaining if there are such, else of all.
func waitOfResets(header http.Header, now time.Time) (time.Duration, bool) {
	var exhausted, all longest
	for name, values := range header {
		remaining, ok := remainingName(name)
		if !ok || len(values) == 0 {
			continue
		}
		d, ok := parseReset(values[0], now)
		all.add(d, ok)
		if strings.TrimSpace(header.Get(remaining)) == "0" {
			exhausted.add(d, ok)
		}
	}
	if exhausted.found {
		return exhausted.wait, true
	}
	return all.wait, all.found
}

// remainingName returns the name of the header that says how much remains of
// the limit which the header of this name says the reset of.
func remainingName(name string) (string, bool) {
	if limit, ok := strings.CutPrefix(name, "X-Ratelimit-Reset"); ok {
		return "X-Ratelimit-Remaining" + limit, true // -Requests, -Tokens, -Tokens-Minute or nothing
	}
	if name == "Ratelimit-Reset" {
		return "Ratelimit-Remaining", true
	}
	if limit, ok := strings.CutPrefix(name, "Anthropic-Ratelimit-"); ok {
		if limit, ok = strings.CutSuffix(limit, "-Reset"); ok {
			return "Anthropic-Ratelimit-" + limit + "-Remaining", true
		}
	}
	return "", false
}

// longest keeps the longest of the waits added to it.
type longest struct {
	wait  time.Duration
	found bool
}

func (l *longest) add(d time.Duration, ok bool) {
	if ok {
		l.wait = max(l.wait, d)
		l.found = true
	}
}
