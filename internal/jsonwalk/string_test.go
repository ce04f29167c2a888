package jsonwalk

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// closesAt is StringEnd as one would write it first.
func closesAt(data []byte, open int) int {
	for i := open + 1; i < len(data); i++ {
		switch data[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

func TestStringEnd(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       int // -1: it does not close
	}{
		{"an empty string", `"" `, 2},
		{"a short string at the end", `"a"`, 3},
		{"a quote alone", `"`, -1},
		{"an escaped quote", `"\""`, 4},
		{"an escaped backslash", `"\\""`, 4},
		{"a quote after three backslashes", `"\\\""`, 6},
		{"an escaped quote at the end", `"a\"`, -1},
		{"a byte after a quote that looks like one", `"abc"#`, 5},
		{"the last byte of a word", `"1234567" and more than a word`, 9},
		{"the first byte of the second word", `"12345678" and more than a word`, 10},
		{"backslashes that cross a word", `"123456\\\\\\" and more than a word`, 14},
		{"a long string", `"` + strings.Repeat("a", 100) + `"`, 102},
		{"a long string that does not close", `"` + strings.Repeat("a", 100), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := StringEnd([]byte(tt.text), 0); got != tt.want {
				t.Errorf("%.80s: got %d, want %d", tt.text, got, tt.want)
			}
		})
	}
}

// Strings of all lengths around those of words, at any place, with as many
// backslashes as quotes.
func TestStringEndAgainstBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		text := make([]byte, 1+random.IntN(48))
		for i := range text {
			text[i] = `\\\"#[]{}abcdefghijklmnopqrstuvwx`[random.IntN(33)]
		}
		open := random.IntN(len(text))
		text[open] = '"'
		checkStringEnd(t, text, open)
	}
}

func FuzzStringEnd(f *testing.F) {
	f.Add([]byte(`"a\"b\\"`), 0)
	f.Add([]byte(`{"key":"`+strings.Repeat(`\"`, 20)+`"}`), 7)
	f.Fuzz(func(t *testing.T, text []byte, open int) {
		if open >= 0 && open < len(text) && text[open] == '"' {
			checkStringEnd(t, text, open)
		}
	})
}

func checkStringEnd(t *testing.T, text []byte, open int) {
	t.Helper()
	exact := bytes.Clone(text)[:len(text):len(text)] // so that a read past the end panics
	if got, want := StringEnd(exact, open), closesAt(text, open); got != want {
		t.Fatalf("%q from %d: got %d, want %d", text, open, got, want)
	}
}
