package state

import (
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestMessagesComeOutAsTheyWentIn(t *testing.T) {
	for _, want := range []message{
		{kind: coolMessage, sender: "a", number: 7, last: 1500 * time.Millisecond, class: retry.RateLimit, key: "pool/a"},
		{kind: coolMessage, sender: "a", number: 8, last: MaxCooldown, class: retry.None, key: "a pool with blanks/ a"},
		{kind: restoredMessage, sender: "b", number: 1 << 63, key: "{x}"},
		{kind: healthMessage, sender: "b", number: 1, last: time.Millisecond, well: true, key: "k"},
		{kind: healthMessage, sender: "b", number: 1, last: time.Minute, key: "k"},
	} {
		got, err := parseMessage(want.String())
		if err != nil || got != want {
			t.Errorf("got %+v and %v, want %+v", got, err, want)
		}
		want.key = ""
		if got, err = parseValue(want.value()); err != nil || got != want {
			t.Errorf("got the value %+v and %v, want %+v", got, err, want)
		}
	}
}

func TestForeignMessages(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":              "",
		"a word":               "x",
		"another version":      "2 a 1 cooldown 5000 rate_limit k",
		"no key":               "1 a 1 cooldown 5000 rate_limit ",
		"no blank before it":   "1 a 1 cooldown 5000 rate_limit",
		"no sender":            "1  1 cooldown 5000 rate_limit k",
		"a long sender":        "1 " + strings.Repeat("a", 41) + " 1 cooldown 5000 rate_limit k",
		"a negative number":    "1 a -1 cooldown 5000 rate_limit k",
		"another kind":         "1 a 1 cooling 5000 rate_limit k",
		"no time":              "1 a 1 cooldown 0 rate_limit k",
		"a negative time":      "1 a 1 cooldown -1 rate_limit k",
		"longer than a day":    "1 a 1 cooldown 86400001 rate_limit k",
		"longer than a number": "1 a 1 cooldown 99999999999999999999 rate_limit k",
		"another class":        "1 a 1 cooldown 5000 x k",
		"a class of clients":   "1 a 1 cooldown 5000 bad_request k",
		"another result":       "1 a 1 health 5000 ill k",
		"an end with a time":   "1 a 1 restored 5 - k",
		"an end with a class":  "1 a 1 restored 0 rate_limit k",
		"large":                "1 a 1 cooldown 5000 rate_limit " + strings.Repeat("k", maxMessage),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseMessage(text); err == nil {
				t.Errorf("got %+v, want an error", got)
			}
		})
	}
}

func TestParseStored(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		left time.Duration // 0: foreign
	}{
		"a cooldown":             {"4000 1 a 1 cooldown 5000 rate_limit", 4 * time.Second},
		"a result":               {"5000 1 a 1 health 5000 healthy", 5 * time.Second},
		"nothing":                {"", 0},
		"too much":               {"foreign", 0},
		"without an end":         {"-1 1 a 1 cooldown 5000 rate_limit", 0},
		"longer than it says":    {"5001 1 a 1 cooldown 5000 rate_limit", 0},
		"what is not stored":     {"0 1 a 1 restored 0 -", 0},
		"a message with its key": {"4000 1 a 1 cooldown 5000 rate_limit k", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, left, err := parseStored(test.text)
			if (err == nil) != (test.left > 0) || left != test.left {
				t.Errorf("got %v and %v, want %v", left, err, test.left)
			}
		})
	}
}

func FuzzStored(f *testing.F) {
	for _, seed := range []string{"4000 1 a 1 cooldown 5000 rate_limit", "1 1 a 1 health 5000 healthy", "foreign", "-1 x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m, left, err := parseStored(text); err == nil && (left < 0 || left > m.last || m.last > MaxCooldown || m.kind == restoredMessage) {
			t.Fatalf("got %v of %+v from %q", left, m, text)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		"1 a 1 cooldown 5000 rate_limit pool/a", "1 a 1 restored 0 - k", "1 a 1 health 5000 healthy k", "1 a 1 cooldown -1 x ", "1 1 1 1 1 1 1 1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMessage(text)
		if err != nil {
			return
		}
		if m.last < 0 || m.last > MaxCooldown || m.key == "" || (m.class != retry.None && !m.class.Blames()) {
			t.Fatalf("got %+v of %q", m, text)
		}
		if again, err := parseMessage(m.String()); err != nil || again != m {
			t.Fatalf("got %+v and %v of %q, want %+v", again, err, m.String(), m)
		}
	})
}
