package cli

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

func TestBrokenAnswersAreFailures(t *testing.T) {
	broken := func(text string) brokenReader { return brokenReader{strings.NewReader(text)} }
	r := result{Status: 200}
	if err := r.readWhole(broken(goodAnswer)); err == nil {
		t.Error("got success for an answer that broke off")
	}
	if err := r.readStream(broken(textChunk + lastChunk)); err == nil {
		t.Error("got success for a stream that broke off before its [DONE]")
	}
}

func TestStreamsInSmallPieces(t *testing.T) {
	r := result{Status: 200}
	stream := roleChunk + textChunk + lastChunk + doneEvent
	if err := r.readStream(iotest.OneByteReader(strings.NewReader(stream))); err != nil || r.Model != "m-2026" {
		t.Errorf("got %v, model %q; want success by m-2026", err, r.Model)
	}
}

// Whatever a server sends, and wherever it is cut, is an answer or an error, and
// what is kept of it can be printed.
func TestAnyAnswerCanBePrinted(t *testing.T) {
	for _, body := range []string{
		goodAnswer, `{"error":{"message":"\u001b[2J\u202e"}}`, `{"model":{"choices":1},"choices":{}}`, `{"model":"\ud800","choices":[1]`,
		roleChunk + textChunk + lastChunk + doneEvent, "data: {\"model\":\"\\u0000\\u0007m\"}\n\n", "data: {\"error\":1}\n\n",
		"data: {\"error\":\"\\u001b]0;title\\u0007\"}\n\n", ":\r\n\r\n", "\xff\xfe\x00", strings.Repeat("[", 10000),
	} {
		for end := 0; end <= len(body); end += 1 + len(body)/500 {
			for _, status := range []int{200, 500, 999} {
				printableOrEmpty(t, status, body[:end], (*result).readWhole)
				printableOrEmpty(t, status, body[:end], (*result).readStream)
			}
		}
	}
}

func printableOrEmpty(t *testing.T, status int, body string, read func(*result, io.Reader) error) {
	t.Helper()
	r := result{Status: status}
	text := ""
	if err := read(&r, strings.NewReader(body)); err != nil {
		text = printable(reason(err), maxMessage)
	}
	for _, kept := range []string{r.Model, text} {
		if len([]rune(kept)) > maxMessage || strings.ContainsFunc(kept, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("of %q: got %q, which is not fit for a line", body, kept)
		}
	}
}
