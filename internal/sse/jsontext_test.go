package sse

import (
	"encoding/json"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

func TestAppendText(t *testing.T) {
	for _, tc := range []struct {
		name, raw, want string
		refused         bool
	}{
		{name: "plain", raw: "Grüße 😀", want: "Grüße 😀"},
		{name: "short escapes", raw: `\"\\\/\b\f\n\r\t`, want: "\"\\/\b\f\n\r\t"},
		{name: "code points", raw: `\u0041\u00e9\u20AC\u0000`, want: "Aé€\x00"},
		{name: "surrogate pair", raw: `a\ud83d\ude00b`, want: "a😀b"},
		{name: "upper half alone", raw: `a\ud83d`, refused: true},
		{name: "upper half before another character", raw: `\ud83d\u0041`, refused: true},
		{name: "upper half before text", raw: `\ud83dabcdef`, refused: true},
		{name: "lower half alone", raw: `\ude00`, refused: true},
		{name: "two upper halves", raw: `\ud83d\ud83d`, refused: true},
		{name: "replacement character", raw: `\ufffd`, want: "\ufffd"},
		{name: "no escape", raw: `\x`, refused: true},
		{name: "cut escapes", raw: `\u12`, refused: true},
		{name: "bad digits", raw: `\u12g4`, refused: true},
		{name: "backslash alone", raw: `\`, refused: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := appendText([]byte("> "), []byte(tc.raw))
			if ok == tc.refused {
				t.Fatalf("got ok %v, want %v", ok, !tc.refused)
			}
			if ok && string(got) != "> "+tc.want {
				t.Errorf("got %q, want %q", got, "> "+tc.want)
			}
		})
	}
}

func TestMatchText(t *testing.T) {
	for _, tc := range []struct {
		name, raw, text   string
		usedRaw, usedText int
		differs           bool
	}{
		{name: "same", raw: "abc", text: "abc", usedRaw: 3, usedText: 3},
		{name: "string is shorter", raw: "ab", text: "abc", usedRaw: 2, usedText: 2},
		{name: "text is shorter", raw: "abc", text: "ab", usedRaw: 2, usedText: 2},
		{name: "nothing to compare", raw: "abc", text: ""},
		{name: "different", raw: "abd", text: "abc", differs: true},
		{name: "written otherwise", raw: `\u00e9\n\/x`, text: "é\n/", usedRaw: 10, usedText: 4},
		{name: "pair against a character", raw: `\ud83d\ude00!`, text: "😀", usedRaw: 12, usedText: 4},
		{name: "text ends inside an escaped character", raw: `\u00e9`, text: "\xc3", differs: true},
		{name: "text ends inside a character", raw: "é", text: "\xc3", differs: true},
		{name: "different escape", raw: `\n`, text: "n", differs: true},
		{name: "backslash against an escape", raw: `\n`, text: `\n`, differs: true},
		{name: "escaped backslash", raw: `\\n`, text: `\n`, usedRaw: 3, usedText: 2},
		{name: "half a pair", raw: `\ud83d`, text: "\xed\xa0\xbd", differs: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			usedRaw, usedText, ok := matchText([]byte(tc.raw), []byte(tc.text))
			if ok == tc.differs {
				t.Fatalf("got ok %v, want %v", ok, !tc.differs)
			}
			if ok && (usedRaw != tc.usedRaw || usedText != tc.usedText) {
				t.Errorf("got %d of the string and %d of the text, want %d and %d", usedRaw, usedText, tc.usedRaw, tc.usedText)
			}
		})
	}
}

// What encoding/json makes of a string is what appendText makes of it, and a
// string matches its own text.
func FuzzAppendText(f *testing.F) {
	for _, s := range []string{`a\ud83d\ude00b`, `\u0041\n`, `é\"`, `\ud83d`, "\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		quoted := `"` + raw + `"`
		var want string
		if !jsonwalk.Valid([]byte(quoted)) || json.Unmarshal([]byte(quoted), &want) != nil {
			t.Skip()
		}
		got, ok := appendText(nil, []byte(raw))
		if !ok {
			return // half a pair
		}
		// Bytes that are no characters are kept here and replaced there.
		if string([]rune(string(got))) != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		usedRaw, usedText, ok := matchText([]byte(raw), got)
		if !ok || usedRaw != len(raw) || usedText != len(got) {
			t.Fatalf("got %d of %d, %d of %d, %v, want all of both", usedRaw, len(raw), usedText, len(got), ok)
		}
	})
}
