package apireq

// maxEdits is how many edits a body can have: the model, the priority and the
// stream options are each replaced, or added together with others.
const maxEdits = 3

// Span is a range of bytes in a body. The zero Span is none: nothing that is of
// interest begins a body.
type Span struct{ Start, End int }

// Edits are the changes of a body for one attempt. They are a value, so that an
// attempt without changes, as most are, allocates nothing. The zero value changes
// nothing.
type Edits struct {
	list [maxEdits]edit // in the order of the body
	n    int
}

type edit struct {
	start, end  int
	replacement []byte
}

// Replace puts replacement, which must stay as it is, in the place of body[start:end].
// Spans must not overlap; of several insertions at one place the first added
// comes first. More than three edits, or a span that ends before it begins, panic.
func (e *Edits) Replace(start, end int, replacement []byte) {
	if end < start {
		panic("apireq: an edit ends before it begins")
	}
	i := e.n
	for ; i > 0 && e.list[i-1].start > start; i-- {
		e.list[i] = e.list[i-1]
	}
	e.list[i] = edit{start, end, replacement}
	e.n++
}

// Len is how long a body of n bytes is with the edits.
func (e *Edits) Len(n int) int {
	for _, edit := range e.list[:e.n] {
		n += len(edit.replacement) - (edit.end - edit.start)
	}
	return n
}

// pieces are the parts of an edited body, in order: of the body and of the edits
// by turns.
type pieces [2*maxEdits + 1][]byte

func (e *Edits) pieces(data []byte) (p pieces) {
	at := 0
	for i, edit := range e.list[:e.n] {
		p[2*i] = data[at:edit.start]
		p[2*i+1] = edit.replacement
		at = edit.end
	}
	p[2*e.n] = data[at:]
	return p
}
