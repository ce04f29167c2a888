// Package cache knows which requests are the same, keeps answers to them, and lets
// identical requests that come at the same time share one answer.
package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"sync"
)

// Kind is what a path asks for, as far as answers to it can be kept.
type Kind uint8

const (
	// Chat is /chat/completions.
	Chat Kind = iota
	// Completions is /completions.
	Completions
	// Responses is /responses.
	Responses
	// Messages is Anthropic's /messages.
	Messages
	// Embeddings is /embeddings.
	Embeddings
	// Rerank is /rerank.
	Rerank
)

// KindOf tells the kind of a URL path by its end; false where nothing is kept. The
// messages of OpenAI's threads are written, not answered.
func KindOf(path string) (Kind, bool) {
	path = strings.TrimSuffix(path, "/")
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return Chat, true
	case strings.HasSuffix(path, "/completions"):
		return Completions, true
	case strings.HasSuffix(path, "/responses"):
		return Responses, true
	case strings.HasSuffix(path, "/messages") && !strings.Contains(path, "/threads/"):
		return Messages, true
	case strings.HasSuffix(path, "/embeddings"):
		return Embeddings, true
	case strings.HasSuffix(path, "/rerank"):
		return Rerank, true
	}
	return 0, false
}

// Key stands for all requests that have the same answer. It tells nothing of them.
type Key [sha256.Size]byte

// Request is what requests are told apart by.
type Request struct {
	Kind Kind
	// Body is JSON. Its model is not looked at.
	Body []byte
	// Literal tells that a value which is the default of its field is not the same
	// as none: the server has defaults of its own.
	Literal bool
	// Scope is what else makes a request another one: who asks, whom, and how.
	Scope []string
}

var forms = sync.Pool{New: func() any { return new(form) }}

// maxPooledForm is the size of the buffers that are used again, in bytes.
const maxPooledForm = 1 << 20

func getForm() *form { return forms.Get().(*form) }

func putForm(f *form) {
	f.data, f.keep = nil, nil
	if cap(f.out)+cap(f.sorted)+cap(f.text) <= maxPooledForm {
		forms.Put(f)
	}
}

// Key is the request's key; false for a request whose answer is not to be kept: its
// body is too large, is no JSON that every server reads in the same way, or asks
// for more than an answer.
func (r *Request) Key() (Key, bool) {
	return r.without(func(_, _, _ []byte) bool { return false })
}

// without is the key of the request without the members that leave tells, by their
// names and their values in canonical form and as they are written.
func (r *Request) without(leave func(key, canonical, raw []byte) bool) (Key, bool) {
	f := getForm()
	defer putForm(f)
	f.reset(r.Body)
	if f.next() != '{' {
		return Key{}, false
	}
	f.out = binary.AppendUvarint(f.out, uint64(len(r.Scope)))
	for _, part := range r.Scope {
		f.out = binary.AppendUvarint(f.out, uint64(len(part)))
		f.out = append(f.out, part...)
	}
	f.out = append(f.out, byte(r.Kind))
	known := &byKind[r.Kind]
	f.keep = func(key, canonical, raw []byte) (bool, error) {
		if string(key) == "model" || leave(key, canonical, raw) {
			return false, nil
		}
		return known.says(key, canonical, r.Literal)
	}
	if f.whole() != nil {
		return Key{}, false
	}
	return sha256.Sum256(f.out), true
}
