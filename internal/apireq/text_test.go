package apireq

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestUnescape(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		ok       bool
	}{
		{``, "", true},
		{`plain`, "plain", true},
		{`\"\\\/\b\f\n\r\t`, "\"\\/\b\f\n\r\t", true},
		{`\u0041\u00e9\u65E5`, "Aé日", true},
		{`\ud83d\ude00!`, "😀!", true},
		{`\u0000`, "\x00", true},
		{`\ufffd`, "\ufffd", true},
		{`a\`, "", false},
		{`\u`, "", false},
		{`\u123`, "", false},
		{`\u12g4`, "", false},
		{`\U0041`, "", false},
		{`\'`, "", false},
		{`\ud83d`, "", false},
		{`\ud83dx`, "", false},
		{`\ud83d\n0041`, "", false},
		{`\ud83d\u0041`, "", false},
		{`\ud83d\ude0`, "", false},
		{`\ude00\ud83d`, "", false},
	} {
		got, ok := unescape([]byte("> "), []byte(tt.in))
		if ok != tt.ok || ok && string(got) != "> "+tt.want {
			t.Errorf("%s: got %q, %v, want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

// Whatever unescape accepts of valid JSON, encoding/json reads in the same way;
// what it refuses of valid JSON is half a surrogate pair.
func FuzzUnescape(f *testing.F) {
	for _, seed := range []string{`a\n`, `\ud83d\ude00`, `\ud83d`, `\u0041\/`, "\xff", `\ud83d\\ude00`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		got, ok := unescape(nil, []byte(inside))
		var want string
		if json.Unmarshal([]byte(`"`+inside+`"`), &want) != nil {
			return
		}
		switch {
		case !ok && !strings.Contains(want, "\ufffd"):
			t.Errorf("%s: got a refusal, want %q", inside, want)
		case ok && utf8.ValidString(inside) && string(got) != want:
			t.Errorf("%s: got %q, want %q", inside, got, want)
		}
	})
}

func TestIsText(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if got, want := isText([]byte(string(r))), !unicode.IsControl(r); got != want {
			t.Fatalf("%U: got %v, want %v", r, got, want)
		}
	}
	for _, bad := range []string{"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\x80"} {
		if isText([]byte(bad)) {
			t.Errorf("%q: got text, want it refused", bad)
		}
	}
}

func TestJSONString(t *testing.T) {
	for in, want := range map[string]string{
		"":                `""`,
		"gpt-4o":          `"gpt-4o"`,
		"a/b<c>&d":        `"a/b<c>&d"`,
		`q"b\`:            `"q\"b\\"`,
		"\n\x00":          `"\n\u0000"`,
		"日本":              `"日本"`,
		"日本<&>":           `"日本<&>"`,
		"bad\xff":         `"bad\ufffd"`,
		"line\u2028break": `"line\u2028break"`,
	} {
		got := JSONString(in)
		if string(got) != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(in, "\ufffd") {
			t.Errorf("%q: got %q back, %v", in, back, err)
		}
	}
}
