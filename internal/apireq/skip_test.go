package apireq

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// nestedEnd is skipNested as one would write it first: byte by byte, with all that
// is open on a stack.
func nestedEnd(b []byte, open int) (int, error) {
	var stack []byte
	quote := -1 // where the string opened
	for i := open; i < len(b); i++ {
		switch c := b[i]; {
		case quote >= 0 && c == '\\':
			i++
		case c == '"' && quote >= 0:
			quote = -1
		case quote >= 0:
		case c == '"':
			quote = i
		case c == '{', c == '[':
			stack = append(stack, c+2) // what closes it
		case c == '}', c == ']':
			top := len(stack) - 1
			if top < maxKinds && stack[top] != c {
				return i, ErrSyntax
			}
			if stack = stack[:top]; top == 0 {
				return i + 1, nil
			}
		}
	}
	if quote >= 0 {
		return quote, ErrUnterminated
	}
	return open, ErrUnterminated
}

func TestSkipNestedAgainstBytes(t *testing.T) {
	tokens := strings.Split(`" " \ { } [ ] {} [] : , Y _ y # ab abcdefgh 12345 \" "a" "b\\" `+"\x7f", " ")
	tokens = append(tokens, " ", strings.Repeat("[", 30), strings.Repeat("{", 30), strings.Repeat("]", 30), strings.Repeat("x", 40))
	random := rand.New(rand.NewPCG(1, 2))
	closed := 0
	for range 100_000 {
		text := []byte{"[{"[random.IntN(2)]}
		for range random.IntN(24) {
			text = append(text, tokens[random.IntN(len(tokens))]...)
		}
		if checkSkipNested(t, text) {
			closed++
		}
	}
	if closed < 10_000 {
		t.Errorf("got %d texts that close, want at least 10000 for the test to mean something", closed)
	}
}

func FuzzSkipNested(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"]}",{}]}`, `[{]`, `["\"]`, `[` + strings.Repeat("12345,", 9) + `]`, strings.Repeat("[", 70) + "{]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
			checkSkipNested(t, text)
		}
	})
}

func checkSkipNested(t *testing.T, text []byte) (closed bool) {
	t.Helper()
	got, err := skipNested(bytes.Clone(text)[:len(text):len(text)], 0)
	want, wantErr := nestedEnd(text, 0)
	if got != want || err != wantErr {
		t.Fatalf("%q: got %d, %v, want %d, %v", text, got, err, want, wantErr)
	}
	return err == nil
}
