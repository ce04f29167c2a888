package apireq

import (
	"bytes"
	"strings"
)

// Limits of a form.
const (
	maxParts      = 1000
	maxPartHeader = 16 << 10 // bytes
	maxBoundary   = 70       // bytes, RFC 2046 section 5.1.1
)

// ScanMultipart reads the facts of a multipart/form-data body: the fields
// model, stream, n, and the length of those that make up the prompt. boundary
// is the parameter of the Content-Type. Files are skipped, whatever their name.
// It takes apart what mime/multipart does, in the same way, and refuses besides
// what other servers may read differently: two models, a field called "Model",
// a part header that is ambiguous. Errors are of type *ScanError.
func ScanMultipart(body []byte, boundary string) (Facts, error) {
	s := formScan{facts: newFacts()}
	p, err := newParts(body, boundary)
	if err != nil {
		return newFacts(), err
	}
	for p.next() {
		if err := s.field(&p); err != nil {
			return newFacts(), err
		}
	}
	if p.err != nil {
		return newFacts(), p.err
	}
	s.facts.Model = string(s.model)
	return s.facts, nil
}

// formScan is what one pass has gathered.
type formScan struct {
	facts Facts
	model []byte
}

// field takes one part of the form.
func (s *formScan) field(p *parts) (err error) {
	value := p.b[p.start:p.end]
	switch p.name {
	case "model":
		if s.facts.ModelStart >= 0 {
			return fail(ErrModelTwice, p.start)
		}
		s.facts.ModelStart, s.facts.ModelEnd = p.start, p.end
		if s.model, err = checkModel(value); err != nil {
			return fail(err, p.start)
		}
	case "stream":
		if s.facts.StreamSet {
			return fail(ErrStreamTwice, p.start)
		}
		s.facts.StreamSet = true
		var ok bool
		if s.facts.Stream, ok = formBool(value); !ok {
			return fail(ErrStreamType, p.start)
		}
	case "n":
		s.facts.Choices = max(count(value), 1)
	default:
		if isPrompt([]byte(p.name)) {
			s.facts.PromptBytes += len(value)
		} else if err := misspelt([]byte(strings.TrimSpace(p.name))); err != nil {
			return fail(err, p.start)
		}
	}
	return nil
}

// formBool reads a boolean as form decoders do, which know no type but text.
func formBool(value []byte) (on, ok bool) {
	if len(value) > len("false") {
		return false, false
	}
	switch strings.ToLower(string(value)) {
	case "true", "1", "on", "yes", "t", "y":
		return true, true
	case "false", "0", "off", "no", "f", "n", "":
		return false, true
	}
	return false, false
}

// validBoundary reports whether a boundary is one that RFC 2046 allows, but for
// the punctuation, where any printable character will do.
func validBoundary(s string) bool {
	if s == "" || len(s) > maxBoundary || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// skipPadding skips what may stand between a boundary and the end of its line.
func skipPadding(b []byte) []byte { return bytes.TrimLeft(b, " \t") }
