package tokenizers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func tokenizer(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, ok := ByName(name)
	if !ok {
		t.Fatalf("there is no tokenizer %q", name)
	}
	return tok
}

// The sentences and the sum are in OpenAI's cookbook, with these numbers.
func TestCount(t *testing.T) {
	for _, test := range []struct {
		name, text    string
		o200k, cl100k int
	}{
		{"nothing", "", 0, 0},
		{"a word", "hello", 1, 1},
		{"words", "hello world", 2, 2},
		{"a sentence", "tiktoken is great!", 6, 6},
		{"digits by threes", "1234567", 3, 3},
		{"a sum", "2 + 2 = 4", 7, 7},
		{"a sentence in Japanese", "お誕生日おめでとう", 8, 9},
		{"white space", "   \n\n  x", 3, 3},
		{"what looks like a special token is text", "<|endoftext|>", 7, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, want := range map[string]int{Default: test.o200k, "cl100k_base": test.cl100k} {
				if got, ok := tokenizer(t, name).Count(test.text); got != want || !ok {
					t.Errorf("%s: got %d tokens, %t; want %d", name, got, ok, want)
				}
			}
		})
	}
}

func TestByName(t *testing.T) {
	for _, name := range Names() {
		a, b := tokenizer(t, name), tokenizer(t, name)
		if a != b || a.Name() != name {
			t.Errorf("%s: got %q and %q, want the same one twice", name, a.Name(), b.Name())
		}
	}
	if got, ok := ByName("gpt-4o"); ok {
		t.Errorf("got %v for a name that means none", got)
	}
}

func TestOneTokenizerServesEverybodyAtOnce(t *testing.T) {
	text := strings.Repeat("All of us count this. ", 50)
	want, _ := tokenizer(t, Default).Count(text)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if got, ok := tokenizer(t, Default).Count(text); got != want || !ok {
					t.Errorf("got %d tokens, %t; want %d", got, ok, want)
				}
			}
		})
	}
	all.Wait()
}

// hostile texts are what some splitter takes long for.
func hostile(n int) map[string]string {
	random := rand.New(rand.NewPCG(1, 2))
	binary := make([]byte, n)
	for i := range binary {
		binary[i] = byte(random.Uint32())
	}
	texts := map[string]string{"noise": string(binary)}
	for _, unit := range []string{
		"a", "A", "aA", " ", "\n", " \n", "\t \t", "\u2003\n", "x \n ", "!", "!\n", "'", "'s", "1", "1 ", "\u0301", "中", "😀", "\xff", "\x00", "ʰ", "/", "\r\n",
	} {
		texts[fmt.Sprintf("%q", unit)] = strings.Repeat(unit, n/len(unit))
	}
	return texts
}

// The bound is a generous one: without the limit on white space, some take minutes.
func TestHostileTextIsCountedInTime(t *testing.T) {
	const size = 256 << 10
	tok := tokenizer(t, Default)
	tok.Count("warm up")
	for name, text := range hostile(size) {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			if n, ok := tok.Count(text); !ok || n > len(text) || n < 1 {
				t.Errorf("got %d tokens, %t, of %d bytes; want at least one, and at most one for each byte", n, ok, len(text))
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %v for %d KiB", took, size>>10)
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	for name, text := range map[string]string{
		"prose":                      strings.Repeat("The quick brown fox jumps over the lazy dog, and goes to sleep under a tree. ", 100),
		"white space, what is worst": strings.Repeat(" \n", 4<<10),
	} {
		b.Run(name, func(b *testing.B) {
			tok := tokenizer(b, Default)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				tok.Count(text)
			}
		})
	}
}
