package cache

import (
	"bytes"
	"crypto/sha256"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// maxInputs is how many inputs of one request are looked up one by one. It is more
// than any API takes.
const maxInputs = 2048

// Inputs are the texts of a request for embeddings, each of which has an answer of
// its own.
type Inputs struct {
	// Keys are those of the inputs, in their order.
	Keys []Key

	body  []byte
	value []byte   // of the field input, where it is in body
	each  [][]byte // as they are written
}

// Inputs are those of the request; false where it has none that can be told apart: a
// list beside them may say something of each, and with late_chunking an answer depends
// on all of them.
func (r *Request) Inputs() (*Inputs, bool) {
	if r.Kind != Embeddings {
		return nil, false
	}
	in := &Inputs{body: r.Body}
	together := false
	rest, ok := r.without(func(key, canonical, raw []byte) bool {
		switch {
		case string(key) == "input":
			in.value = raw
			return true
		case canonical[0] == '[', string(key) == "late_chunking" && !nothing[string(canonical)]:
			together = true
		}
		return false
	})
	if !ok || in.value == nil || together {
		return nil, false
	}
	in.each = inputsIn(in.value)
	if len(in.each) == 0 || len(in.each) > maxInputs {
		return nil, false
	}
	f := getForm()
	defer putForm(f)
	for _, input := range in.each {
		f.reset(input)
		if f.whole() != nil {
			return nil, false
		}
		in.Keys = append(in.Keys, sha256.Sum256(append(f.out, rest[:]...)))
	}
	return in, true
}

// All are the places of all inputs.
func (in *Inputs) All() []int {
	places := make([]int, len(in.Keys))
	for i := range places {
		places[i] = i
	}
	return places
}

// inputsIn are the inputs in a value, which is known to be valid: a text, the numbers
// of a text's tokens, or a list of either.
func inputsIn(value []byte) (each [][]byte) {
	c := jsonwalk.New(value)
	switch {
	case c.Peek() == '"':
		return [][]byte{value}
	case !c.Open('['):
		return nil
	}
	for c.Element() {
		switch c.Peek() {
		case '"', '[':
			each = append(each, c.Value())
		default:
			if len(each) > 0 || !numbers(value) {
				return nil
			}
			return [][]byte{value}
		}
	}
	return each
}

// numbers tells whether a list has numbers alone.
func numbers(list []byte) bool { return !bytes.ContainsAny(list[1:], `"[{tfn`) }

// Only is the body with some of the inputs alone.
func (in *Inputs) Only(places []int) []byte {
	start := cap(in.body) - cap(in.value) // where the value begins in the body
	only := make([]byte, 0, len(in.body))
	only = append(append(only, in.body[:start]...), '[')
	for i, place := range places {
		if i > 0 {
			only = append(only, ',')
		}
		only = append(only, in.each[place]...)
	}
	only = append(only, ']')
	return append(only, in.body[start+len(in.value):]...)
}
