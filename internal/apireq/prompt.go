package apireq

import (
	"hash/maphash"
	"math/bits"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// Prompt is the prompt within a body, for those who tell prompts by how they
// begin, or have to know how long they are. It implements selection.PrefixReader and
// selection.PromptCounter, and lasts as long as its Body. It belongs to one goroutine
// at a time.
type Prompt struct {
	data  []byte
	parts promptParts

	texts   promptTexts // found when they are first counted
	read    bool
	tallies []tally
}

// Prompt gives the body's prompt, as the facts of that very body found it.
func (b *Body) Prompt(f *Facts) *Prompt {
	b.prompt = Prompt{data: b.data, parts: f.prompt}
	return &b.prompt
}

const (
	// maxPromptParts are as many parts as are looked at; no API has more than three.
	maxPromptParts = 4
	// maxPrefix is how far into a prompt its beginnings are told apart, in bytes.
	maxPrefix = 1 << 20
	// minBlock is the shortest part of a prompt that is told apart, in bytes, and
	// maxBlockShare how many of them at most make up the whole; later ones grow, so that
	// a prompt of any size has about a hundred at most.
	minBlock      = 256
	maxBlockShare = 16
)

// promptParts are where the parts of a prompt are in a body, in the order of the
// body. The zero value is none.
type promptParts struct {
	list [maxPromptParts]promptPart
	n    int
}

type promptPart struct {
	Span
	layer   layer
	reading reading
}

// layer is where a part of the prompt stands in what the model reads, wherever it
// stands in the body.
type layer uint8

const (
	toolsLayer layer = iota
	systemLayer
	messagesLayer
	numLayers
)

func (p *promptParts) add(key []byte, start, end int) {
	if p.n == maxPromptParts {
		return
	}
	part := promptPart{Span{start, end}, messagesLayer, readingOf(string(key))}
	switch string(key) {
	case "tools":
		part.layer = toolsLayer
	case "system", "instructions":
		part.layer = systemLayer
	}
	p.list[p.n] = part
	p.n++
}

// seed makes hashes that nobody outside can aim at.
var seed = maphash.MakeSeed()

// Prefixes implements selection.PrefixReader. It cuts the prompt into blocks and
// chains their hashes, so that each stands for all that comes before it as well. It
// does not look for where messages begin and end: that costs twice as much as the
// rest, and a conversation that goes on repeats its bytes in any case.
func (p *Prompt) Prefixes(dst []selection.Prefix) []selection.Prefix {
	c := chain{dst: dst}
	for l := range numLayers {
		for _, part := range p.parts.list[:p.parts.n] {
			if part.layer == l {
				c.add(p.data[part.Start:part.End], l)
			}
		}
	}
	return c.dst
}

// chain is the hash of what has been read of a prompt, and its size in bytes.
type chain struct {
	dst  []selection.Prefix
	hash uint64
	size int
}

// add reads one part of the prompt, a JSON value.
func (c *chain) add(value []byte, l layer) {
	if n := len(value); n >= 2 && (value[0] == '[' || value[0] == '"') {
		value = value[1 : n-1] // what follows the last message is a bracket or, next time, a comma
	}
	for len(value) > 0 && c.size < maxPrefix {
		block := max(minBlock, c.size/maxBlockShare)
		if len(value) < block {
			c.link(value)
			if l < messagesLayer { // the end of messages is nowhere else an end
				c.mark()
			}
			return
		}
		c.link(value[:block])
		c.mark()
		value = value[block:]
	}
}

func (c *chain) link(block []byte) {
	c.hash = bits.RotateLeft64(c.hash^maphash.Bytes(seed, block), 29) * 0x9e3779b97f4a7c15
	c.size += len(block)
}

func (c *chain) mark() {
	c.dst = append(c.dst, selection.Prefix{Hash: c.hash, Tokens: c.size / 4})
}
