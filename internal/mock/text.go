package mock

import (
	"strings"
	"unicode/utf8"
)

// pieces is the text of an answer, cut into tokens.
type pieces []string

// text is the whole answer.
func (p pieces) text() string { return strings.Join(p, "") }

// pieces cuts the answer to a request for model into tokens.
func (t *Transport) pieces(model string) pieces {
	text := t.Response
	if text == "" {
		text = "This is a mock answer from " + model + "."
	}
	if t.Tokens == nil {
		return cutWords(text)
	}
	return cut(text, *t.Tokens)
}

// cutWords cuts before each word, so that the spaces lead their word as they do
// in the tokens of a model. There is always at least one piece.
func cutWords(text string) pieces {
	var out pieces
	start, inSpace := 0, true
	for i, r := range text {
		space := r == ' ' || r == '\n' || r == '\t'
		if space && !inSpace {
			out = append(out, text[start:i])
			start = i
		}
		inSpace = space
	}
	return append(out, text[start:])
}

// cut makes exactly n pieces. They are equal to within one word, or, where there
// are fewer words than that, to within one rune. A text that has fewer runes
// than n is repeated word by word.
func cut(text string, n int) pieces {
	units := cutWords(text)
	switch {
	case len(units) >= n:
	case utf8.RuneCountInString(text) >= n:
		units = strings.Split(text, "")
	default:
		again := append(pieces(nil), units...)
		again[0] = " " + again[0]
		for len(units) < n {
			units = append(units, again[:min(len(again), n-len(units))]...)
		}
	}
	out := make(pieces, n)
	for i := range n {
		out[i] = strings.Join(units[i*len(units)/n:(i+1)*len(units)/n], "")
	}
	return out
}
