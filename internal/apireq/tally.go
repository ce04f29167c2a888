package apireq

import (
	"unicode/utf8"

	"github.com/llmrouter/caddy-llm-router/selection"
)

const (
	// maxPiece is how much text, as JSON has it, a tokenizer is given at once, in bytes.
	maxPiece = 8 << 10
	// maxCounted is how much text of one prompt is counted, in bytes; and no more than
	// maxPerToken for each token of the limit, and minCounted in any case. Text that is
	// still within the limit by then is no text that people write, and passes.
	maxCounted  = 8 << 20
	maxPerToken = 16
	minCounted  = 64 << 10
)

// tally is what one tokenizer has counted of a prompt.
type tally struct {
	tokenizer selection.Tokenizer
	tokens    int
	counted   int // bytes
	text, at  int // where counting goes on
	// left is the most that the rest is taken to have, in sixteenths of a token.
	left   int
	failed bool
}

// Exceeds implements selection.PromptCounter.
func (p *Prompt) Exceeds(t selection.Tokenizer, limit int) bool {
	a := p.tallyOf(t)
	budget := min(max(minCounted, limit*maxPerToken), maxCounted)
	for {
		switch {
		case a.tokens > limit:
			return true
		case a.failed, a.tokens*sixteenths+a.left <= limit*sixteenths, a.counted >= budget:
			return false
		}
		p.count(a)
	}
}

// tallyOf gives what a tokenizer has counted so far.
func (p *Prompt) tallyOf(t selection.Tokenizer) *tally {
	for i := range p.tallies {
		if p.tallies[i].tokenizer == t {
			return &p.tallies[i]
		}
	}
	if !p.read {
		p.read = true
		for _, part := range p.parts.list[:p.parts.n] {
			p.texts.read(p.data[part.Start:part.End], part.reading)
		}
	}
	a := tally{tokenizer: t}
	for _, text := range p.texts.list {
		a.left += weigh(text)
	}
	p.tallies = append(p.tallies, a)
	return &p.tallies[len(p.tallies)-1]
}

// count takes the next piece into a tally. There is one as long as anything is left.
func (p *Prompt) count(a *tally) {
	rest := p.texts.list[a.text][a.at:]
	piece := rest[:pieceEnd(rest)]
	if a.at += len(piece); len(piece) == len(rest) {
		a.text, a.at = a.text+1, 0
	}
	a.left -= weigh(piece)
	a.counted += len(piece)
	var scratch [maxPiece]byte
	text, ok := unescape(scratch[:0], piece) // not of half a character, which decoders read in different ways
	n := 0
	if ok {
		n, ok = a.tokenizer.Count(string(text))
	}
	if !ok {
		a.failed = true
		return
	}
	a.tokens += n
}

// pieceEnd is how much of a text to count at once: up to where a word begins if one
// does, since no token goes over that, and never within an escape or a character.
func pieceEnd(text []byte) int {
	if len(text) <= maxPiece {
		return len(text)
	}
	for i := maxPiece - 1; i > maxPiece/2; i-- {
		if text[i] == ' ' && text[i-1] != ' ' && text[i+1] != ' ' {
			return i
		}
	}
	end := 0
	for next := 0; next <= maxPiece; next += characterLen(text[next:]) {
		end = next
	}
	return end
}

// characterLen is how long the first character of a text is, as JSON has it.
func characterLen(text []byte) int {
	switch {
	case text[0] != '\\':
		_, size := utf8.DecodeRune(text)
		return size
	case len(text) < 6 || text[1] != 'u':
		return 2
	case len(text) > 7 && text[2]|0x20 == 'd' && text[6] == '\\' && text[7] == 'u': // half of it
		return 12
	}
	return 6
}

const sixteenths = 16

// density is the most tokens that a byte is taken to make, in sixteenths. It is
// above what random letters make; anything else may make one token of a byte.
var density = func() (d [256]uint8) {
	for c := range d {
		switch {
		case c >= 'a' && c <= 'z':
			d[c] = 9
		case c >= 'A' && c <= 'Z':
			d[c] = 13
		default:
			d[c] = sixteenths
		}
	}
	return d
}()

func weigh(text []byte) (sum int) {
	for _, c := range text {
		sum += int(density[c])
	}
	return sum
}
