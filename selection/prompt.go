package selection

// Prefix is a beginning of a prompt.
type Prefix struct {
	// Hash is the same for prompts that begin alike, in this process only.
	Hash uint64
	// Tokens estimates how long it is.
	Tokens int
}

// PrefixReader finds the beginnings of a prompt.
type PrefixReader interface {
	// Prefixes appends them to dst, the shortest first: each is a part of the next.
	Prefixes(dst []Prefix) []Prefix
}

// Prompt is a request's prompt for those who tell prompts by how they begin. The
// beginnings are found when they are first asked for. It belongs to one goroutine
// at a time, as its request does.
type Prompt struct {
	reader PrefixReader
	found  []Prefix
	read   bool
}

// Reset makes the Prompt that of another request, in the same memory; a nil reader
// is an unknown prompt.
func (p *Prompt) Reset(reader PrefixReader) { *p = Prompt{reader: reader, found: p.found[:0]} }

// Prefixes are the beginnings of the prompt, the shortest first; none of an
// unknown one. They must not be changed or kept.
func (p *Prompt) Prefixes() []Prefix {
	if p == nil || p.reader == nil {
		return nil
	}
	if !p.read {
		p.found, p.read = p.reader.Prefixes(p.found[:0]), true
	}
	return p.found
}
