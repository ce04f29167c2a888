package apireq

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/llmrouter/caddy-llm-router/internal/tokenizers"
)

// letters counts every character for a token, and what it is given.
type letters struct {
	seen  strings.Builder
	calls int
	fails bool
}

func (l *letters) Count(text string) (int, bool) {
	l.calls++
	l.seen.WriteString(text)
	return utf8.RuneCountInString(text), !l.fails
}

// promptOf is the prompt of a body.
func promptOf(t testing.TB, body string) (*Prompt, Facts) {
	t.Helper()
	facts, err := ScanJSON([]byte(body))
	if err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return BodyOf([]byte(body)).Prompt(&facts), facts
}

// whatIsRead is what a tokenizer is given of a body, one text after the other.
func whatIsRead(t testing.TB, body string) string {
	t.Helper()
	p, _ := promptOf(t, body)
	var tok letters
	p.Exceeds(&tok, 0)
	for range p.texts.list { // no more than a text is counted for a limit of nothing
		a := p.tallyOf(&tok)
		if a.text < len(p.texts.list) {
			p.count(a)
		}
	}
	return tok.seen.String()
}

func TestWhatIsCounted(t *testing.T) {
	for _, test := range []struct{ name, body, want string }{
		{"a chat", `{"messages":[{"role":"system","content":"Be "},{"role":"user","content":"brief"}]}`, "Be brief"},
		{"parts of content", `{"messages":[{"role":"user","content":[{"type":"text","text":"one "},{"type":"text","text":"two"}]}]}`, "one two"},
		{"escapes are one character", `{"messages":[{"content":"a\n\"\u00e9\ud83d\ude00"}]}`, "a\n\"é😀"},
		{"calls of tools and what came of them", `{"messages":[{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"fine"}]}`, `f{"x":1}fine`},
		{"Anthropic's", `{"system":[{"type":"text","text":"Be "}],"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"city":"Ulm"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"fine"}]}]}]}`, "Be fcity Ulm fine"},
		{"pictures and files are not", `{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},{"type":"input_audio","input_audio":{"data":"BBBB","format":"wav"}},{"type":"file","file":{"file_data":"CCCC"}},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"DDDD"}},{"type":"text","text":"see"}]}]}`, "see"},
		{"the Responses API", `{"instructions":"Be ","input":[{"role":"user","content":[{"type":"input_text","text":"brief "}]},{"type":"function_call","name":"f","arguments":"{}"},{"type":"function_call_output","output":"fine"}]}`, "Be brief f{}fine"},
		{"its input as a text", `{"input":"brief"}`, "brief"},
		{"names and texts of tools", `{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}`, "type function function name f parameters type object "},
		{"completions", `{"prompt":"Once"}`, "Once"},
		{"the longest of several prompts", `{"prompt":["a","Once upon","b"]}`, "Once upon"},
		{"the longest of what is embedded", `{"input":["short","longer","x"]}`, "longer"},
		{"Gemini's", `{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}`, "Hi"},
		{"token ids are not", `{"input":[1,2,3]}`, ""},
		{"nor lists of them", `{"prompt":[[1,2],[3]]}`, ""},
		{"nor among texts", `{"input":["a",[1,2],7]}`, "a"},
		{"nor what is ranked", `{"query":"who","documents":["a","b"]}`, ""},
		{"nothing", `{"model":"m"}`, ""},
		{"nonsense", `{"messages":{"content":{"content":7,"text":null}}}`, ""},
		{"what is too deep", `{"messages":` + strings.Repeat("[", 30) + `"x"` + strings.Repeat("]", 30) + `}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := whatIsRead(t, test.body); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func chat(text string) string { return `{"messages":[{"role":"user","content":"` + text + `"}]}` }

func TestExceeds(t *testing.T) {
	long := strings.Repeat("1 ", 50_000) // digits may be a token each
	for _, test := range []struct {
		name, text string
		limit      int
		want       bool
	}{
		{"less", "12345", 6, false},
		{"as much", "12345", 5, false},
		{"more", "12345", 4, true},
		{"nothing", "", 0, false},
		{"more than nothing", "1", 0, true},
		{"a long one that is less", long, 100_001, false},
		{"a long one that is as much", long, 100_000, false},
		{"a long one that is more", long, 99_999, true},
		{"characters of several bytes", strings.Repeat("中", 30_000), 29_999, true},
		{"as many of them", strings.Repeat("中", 30_000), 30_000, false},
		{"escapes", strings.Repeat(`\n\u00e9\\`, 10_000), 29_999, true},
		{"as many of them as the limit", strings.Repeat(`\n\u00e9\\`, 10_000), 30_000, false},
		{"pairs of escapes", strings.Repeat(`\ud83d\ude00`, 10_000), 9_999, true},
		{"as many pairs", strings.Repeat(`\ud83d\ude00`, 10_000), 10_000, false},
		{"half a pair, which nobody can read", strings.Repeat(`\ud83d `, 1000), 10, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := promptOf(t, chat(test.text))
			if got := p.Exceeds(new(letters), test.limit); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
	t.Run("what cannot be counted does not", func(t *testing.T) {
		p, _ := promptOf(t, chat(long))
		if p.Exceeds(&letters{fails: true}, 1) {
			t.Error("got true, want false")
		}
	})
	t.Run("what is too long before it breaks off is", func(t *testing.T) {
		p, _ := promptOf(t, chat(strings.Repeat("1 ", maxPiece)+`\ud83d `))
		tok := new(letters)
		for _, limit := range []int{10, 2 * maxPiece, 10} {
			if got, want := p.Exceeds(tok, limit), limit == 10; got != want {
				t.Errorf("limit %d: got %t, want %t", limit, got, want)
			}
		}
	})
	t.Run("nor what takes too long to count", func(t *testing.T) {
		p, _ := promptOf(t, chat(strings.Repeat(" ", 2*maxPerToken*10_000)))
		tok := new(blanks)
		if p.Exceeds(tok, 10_000) || tok.given > maxPerToken*10_000+maxPiece {
			t.Errorf("counted %d bytes, want no more than about %d, and to let it pass", tok.given, maxPerToken*10_000)
		}
	})
	t.Run("nor what takes too long whatever the limit", func(t *testing.T) {
		p, _ := promptOf(t, chat(strings.Repeat(" ", maxCounted+1<<20)))
		tok := new(blanks)
		if p.Exceeds(tok, maxCounted) || tok.given > maxCounted+maxPiece {
			t.Errorf("counted %d bytes, want no more than about %d, and to let it pass", tok.given, maxCounted)
		}
	})
	t.Run("nothing is counted of a body that was released", func(t *testing.T) {
		text := []byte(chat(long))
		facts, err := ScanJSON(text)
		if err != nil {
			t.Fatal(err)
		}
		body := BodyOf(text)
		p, tok := body.Prompt(&facts), new(letters)
		p.Exceeds(tok, 10)
		body.Release()
		if before := tok.calls; p.Exceeds(tok, 50_000) || tok.calls != before {
			t.Errorf("%d pieces were counted after the release, want none, and it to pass", tok.calls-before)
		}
	})
	t.Run("a form has no prompt that can be counted", func(t *testing.T) {
		if BodyOf(nil).Prompt(new(Facts)).Exceeds(new(letters), 0) {
			t.Error("got true, want false")
		}
	})
}

// What is taken for the most tokens that text can make is no less than what it makes.
func TestTextWithinTheLimitIsWithinIt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	of := func(letters string) string {
		text := make([]byte, 8<<10)
		for i := range text {
			text[i] = letters[random.IntN(len(letters))]
		}
		return string(text)
	}
	const small = "abcdefghijklmnopqrstuvwxyz"
	capitals := strings.ToUpper(small)
	for name, text := range map[string]string{
		"small letters": of(small), "capitals": of(capitals), "both": of(small + capitals), "with digits": of(small + capitals + "0123456789+/"), "words": of(small + "     "),
	} {
		for _, vocabulary := range tokenizers.Names() {
			t.Run(name+" in "+vocabulary, func(t *testing.T) {
				tok, _ := tokenizers.ByName(vocabulary)
				n, _ := tok.Count(text)
				p, _ := promptOf(t, chat(text))
				if !p.Exceeds(tok, n-1) || p.Exceeds(tok, n) {
					t.Errorf("%d tokens: got %t for one less, and %t for as many; want true and false", n, p.Exceeds(tok, n-1), p.Exceeds(tok, n))
				}
			})
		}
	}
}

// blanks makes no tokens of anything.
type blanks struct{ given int }

func (b *blanks) Count(text string) (int, bool) { b.given += len(text); return 0, true }

func TestNothingIsCountedTwiceOrInVain(t *testing.T) {
	text := strings.Repeat("1234 ", 20_000) // digits may be a token each
	p, _ := promptOf(t, chat(text))
	a, b := new(letters), new(letters)
	for _, test := range []struct {
		name  string
		tok   *letters
		limit int
		want  bool
		most  int // bytes that are counted by then
	}{
		{"a limit that is far away", a, 100_000, false, 0},
		{"one that is passed at once", a, 1000, true, maxPiece},
		{"the same one", a, 1000, true, maxPiece},
		{"a larger one goes on", a, 50_000, true, 50_000 + maxPiece},
		{"a smaller one needs no more", a, 20_000, true, 50_000 + maxPiece},
		{"another tokenizer begins anew", b, 20_000, true, 20_000 + maxPiece},
		{"the first one goes to the end", a, 99_999, true, 100_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := p.Exceeds(test.tok, test.limit); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
			if n := test.tok.seen.Len(); n > test.most {
				t.Errorf("%d bytes were counted, want at most %d", n, test.most)
			}
		})
	}
	if a.seen.String() != text {
		t.Error("what was counted is not the text, once")
	}
}

func TestPiecesEndWhereWordsBegin(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"words", strings.Repeat("some words and ", 2000)},
		{"no spaces", strings.Repeat("x", 20_000)},
		{"double spaces", strings.Repeat("x  y", 5000)},
		{"spaces alone", strings.Repeat(" ", 20_000)},
		{"three bytes each", strings.Repeat("中", 7000)},
		{"escapes", strings.Repeat(`\n`, 10_000)},
		{"pairs at an odd place", "x" + strings.Repeat(`\ud83d\ude00`, 2000)},
		{"no text", strings.Repeat("\xff", 20_000)},
	} {
		t.Run(test.name, func(t *testing.T) {
			end := pieceEnd([]byte(test.text))
			if end < maxPiece/2 || end > maxPiece {
				t.Fatalf("got a piece of %d bytes, want one of %d to %d", end, maxPiece/2, maxPiece)
			}
			before, after := test.text[:end], test.text[end:]
			if strings.Contains(test.text, "s ") && (after[0] != ' ' || after[1] == ' ') {
				t.Errorf("cut between %q and %q, want it before a word", before[end-10:], after[:10])
			}
			whole, _ := unescape(nil, []byte(test.text))
			one, ok1 := unescape(nil, []byte(before))
			two, ok2 := unescape(nil, []byte(after))
			if string(one)+string(two) != string(whole) || !ok1 || !ok2 {
				t.Errorf("cut between %q and %q, want it between characters", before[end-12:], after[:12])
			}
		})
	}
}

// halves makes a token of two letters, or of one of anything else.
type halves struct{ given int }

func (h *halves) Count(text string) (int, bool) {
	h.given += len(text)
	sum := 0
	for _, r := range text {
		if sum += 2; r|0x20 >= 'a' && r|0x20 <= 'z' {
			sum--
		}
	}
	return sum / 2, true
}

// Whatever a body says, no more is counted of it than it has, and the answer stays
// the same.
func FuzzExceeds(f *testing.F) {
	for _, body := range []string{
		chat(`a\ud83d\ude00\ud83d b`), `{"input":["a",["b"],{"text":"c"}],"prompt":"d","tools":[{"x":"\"y"}]}`,
		`{"messages":[}]}`, `{"messages":{"content":{"text":[[[["x"]]]]}},"system":"s"}`, `{"messages":[{"text"}]}`,
		chat(strings.Repeat(`x\u0041`, 3000)), chat(strings.Repeat("\xf0\x9f", 5000)),
	} {
		f.Add([]byte(body), uint16(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, limit uint16) {
		facts, err := ScanJSON(body)
		if err != nil {
			return
		}
		p := BodyOf(body).Prompt(&facts)
		tok := new(halves)
		first := p.Exceeds(tok, int(limit))
		if first && int(limit) >= facts.PromptBytes {
			t.Errorf("%d bytes exceed %d tokens", facts.PromptBytes, limit)
		}
		if tok.given > facts.PromptBytes {
			t.Errorf("%d bytes were counted of %d", tok.given, facts.PromptBytes)
		}
		p.Exceeds(tok, int(limit)/2)
		if again := p.Exceeds(tok, int(limit)); again != first {
			t.Errorf("got %t at first and %t later", first, again)
		}
	})
}

// Compare a prompt far below the limit, which is weighed but not counted.
func BenchmarkExceeds(b *testing.B) {
	body := []byte(chat(strings.Repeat("The quick brown fox jumps over the lazy dog. ", 1000)))
	facts, err := ScanJSON(body)
	if err != nil {
		b.Fatal(err)
	}
	for _, limit := range []int{20_000, 35_000, 45_000} {
		b.Run(fmt.Sprintf("45 kB against %d tokens", limit), func(b *testing.B) {
			tok := new(quarter)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				BodyOf(body).Prompt(&facts).Exceeds(tok, limit)
			}
		})
	}
}

// quarter takes four bytes for a token.
type quarter struct{}

func (*quarter) Count(text string) (int, bool) { return len(text) / 4, true }

// What is set aside to count a prompt is bounded, whatever the prompt is made of.
func TestManyTextsAreNotAllKept(t *testing.T) {
	for _, test := range []struct {
		name, body   string
		texts, bytes int // at most
	}{
		{"messages", `{"messages":["a"` + strings.Repeat(`,"a"`, 2*maxTexts) + `]}`, maxTexts, maxTexts},
		{"tools", `{"tools":["a"` + strings.Repeat(`,"a"`, maxCounted) + `]}`, 1, maxCounted + 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := promptOf(t, test.body)
			p.Exceeds(new(letters), 0)
			size := 0
			for _, text := range p.texts.list {
				size += len(text)
			}
			if n := len(p.texts.list); n == 0 || n > test.texts || size > test.bytes {
				t.Errorf("kept %d texts of %d bytes, want at most %d of %d", n, size, test.texts, test.bytes)
			}
		})
	}
}
