package tokenizers

import (
	"unicode"
	"unicode/utf8"
)

// maxSpace is how much white space in a row the splitter is given at once, in bytes.
// It takes time in proportion to the square of that. No token is longer than half of
// it, so that cutting there adds next to none.
const maxSpace = 256

// spaceLimit is where text has to be cut for the splitter: behind the first run of
// white space that is too long for it, or at its end.
func spaceLimit(text string) int {
	run := 0 // where the run begins
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		switch {
		case !unicode.IsSpace(r):
			run = i
		case i-run >= maxSpace:
			return i
		}
	}
	return len(text)
}
