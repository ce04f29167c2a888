// Package tokenizers counts the tokens of text with vocabularies that are built in.
package tokenizers

import (
	"maps"
	"slices"
	"sync"

	"github.com/tiktoken-go/tokenizer/codec"
)

// Default is the name of the tokenizer that comes nearest to most of today's models.
const Default = "o200k_base"

// Tokenizer is one vocabulary. It is loaded when it is first needed, once for all who
// use it, and then stays: o200k_base takes 7 MiB. It implements selection.Tokenizer.
type Tokenizer struct {
	name string
	load func() *codec.Codec
}

var known = map[string]*Tokenizer{
	Default:       {Default, sync.OnceValue(codec.NewO200kBase)},
	"cl100k_base": {"cl100k_base", sync.OnceValue(codec.NewCl100kBase)},
}

// ByName finds a tokenizer; the same one for the same name. It loads nothing.
func ByName(name string) (*Tokenizer, bool) {
	t, ok := known[name]
	return t, ok
}

// Names are the tokenizers that there are.
func Names() []string { return slices.Sorted(maps.Keys(known)) }

// Name is the tokenizer's own name.
func (t *Tokenizer) Name() string { return t.name }

// Count tells how many tokens a text has; false where it cannot be split. It is
// meant for texts of a few kilobytes, and takes time in proportion to their length,
// whatever they are.
func (t *Tokenizer) Count(text string) (tokens int, ok bool) {
	for len(text) > 0 {
		end := spaceLimit(text)
		n, err := t.load().Count(text[:end])
		if err != nil {
			return 0, false
		}
		tokens += n
		text = text[end:]
	}
	return tokens, true
}
