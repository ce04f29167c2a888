package retry

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		text, phrase string
		want         bool
	}{
		{"Rate Limit", "rate limit", true},
		{"rate_limit", "rate limit", true},
		{"rate-limit", "rate limit", true},
		{"RateLimit", "rate limit", true},
		{"rate\n  limit", "rate limit", true},
		{"rate:limit", "rate limit", false},
		{"rate", "rate limit", false},
		{"got -5", "got -", true},
		{"got 5", "got -", false},
		{"model 'a/b:c' not found", "model * not found", true},
		{"model not found", "model * not found", false},
		{"model a b not found", "model * not found", false},
		{"model " + strings.Repeat("x", maxWord+1) + " not found", "model * not found", false},
		{"exceeds the context", "exceed~context", true},
		{"exceed" + strings.Repeat(" ", maxGap) + "context", "exceed~context", true},
		{"exceed" + strings.Repeat(" ", maxGap+1) + "context", "exceed~context", false},
		{"exceed nothing", "exceed~context", false},
		{"a b c d", "a~b~d", true},
		{"limit: 0, x", "limit: 0$", true},
		{"limit: 0", "limit: 0$", true},
		{"limit: 05", "limit: 0$", false},
		{"length 1048576", "length #####", true},
		{"length 1048", "length #####", false},
		{"账户余额不足", "账户", true},
	} {
		if got := match([]byte(c.text), 0, c.phrase) >= 0; got != c.want {
			t.Errorf("match(%q, %q): got %v, want %v", c.text, c.phrase, got, c.want)
		}
	}
}

func TestCanonicalMarker(t *testing.T) {
	for value, want := range map[string]string{
		"rate_limit_exceeded":                               "ratelimitexceeded",
		"RateLimitExceeded":                                 "ratelimitexceeded",
		"rate_limit_error":                                  "ratelimit",
		"ThrottlingException":                               "throttling",
		"com.amazon.coral.service#ThrottlingException":      "throttling",
		"ValidationException:http://internal.amazon.com/x/": "validation",
		"error":                  "error",
		"":                       "",
		"余额":                     "",
		strings.Repeat("x", 65):  "",
		strings.Repeat("_", 999): "",
	} {
		var buf nameBuffer
		if got := string(canonicalMarker(&buf, []byte(value))); got != want {
			t.Errorf("%.80s: got %q, want %q", value, got, want)
		}
	}
}

// A name in two tables, or twice in one with two classes, would decide by
// chance.
func TestMarkersAreUnambiguous(t *testing.T) {
	seen := map[string]Class{}
	for _, m := range append(append([]marker{}, markers...), families...) {
		for _, name := range m.names {
			var buf nameBuffer
			key := string(canonicalMarker(&buf, []byte(name)))
			if key == "" {
				t.Errorf("%q is empty or too long", name)
			}
			if other, ok := seen[key]; ok && other != m.class {
				t.Errorf("%q stands for %v and %v", name, other, m.class)
			}
			seen[key] = m.class
		}
	}
	for name := range markerClasses {
		if c, ok := familyClasses[name]; ok {
			t.Errorf("%q is a marker and of the family %v", name, c)
		}
	}
}

// Phrases are found by their first byte and compared in lower case.
func TestPhrasesAreWellFormed(t *testing.T) {
	for _, p := range phrases {
		for _, text := range p.texts {
			if text == "" || strings.ContainsRune(" *~#$", rune(text[0])) || text != strings.ToLower(text) {
				t.Errorf("%q cannot be matched", text)
			}
			var e evidence
			if e.text([]byte(strings.NewReplacer("*", "x", "~", " x ", "#", "1", "$", "").Replace(text))); !e.said.has(p.says) {
				t.Errorf("%q does not match itself", text)
			}
		}
	}
	for _, s := range stems {
		var buf nameBuffer
		if got := string(canonical(&buf, []byte(s.stem))); got != s.stem {
			t.Errorf("stem %q is not canonical", s.stem)
		}
	}
	for name, f := range fields {
		var buf nameBuffer
		if got := string(canonical(&buf, []byte(name))); got != name || f == 0 {
			t.Errorf("field %q is not canonical or has no meaning", name)
		}
	}
}

func TestWaitAnchorsAreReachable(t *testing.T) {
	for _, anchor := range waitAnchors {
		if _, ok := waitInText([]byte(anchor + "5s")); !ok {
			t.Errorf("%q is not found", anchor)
		}
	}
}
