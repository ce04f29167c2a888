package sse

import (
	"bytes"
	"errors"
	"io"
)

// MaxEvent is the size of the largest event that a Reader accepts, in bytes
// with its line ends. An image in base64 is one event of several megabytes, and
// the event that completes a response may repeat them all.
const MaxEvent = 32 << 20

const (
	startBuffer = 4 << 10
	// keptBuffer is the largest buffer that waits for the next event: what a
	// larger event needed is not held through the silence after it.
	keptBuffer = 1 << 20
	// One byte beyond the largest event is needed to see that it is too large.
	maxBuffer = MaxEvent + startBuffer
	// emptyReads is how many reads in a row may give neither bytes nor an error.
	emptyReads = 100
)

// ErrTooLarge is the error for an event above MaxEvent.
var ErrTooLarge = errors.New("stream event exceeds 32 MiB")

// Reader cuts a stream into events. The same bytes give the same events, in
// whatever pieces they arrive. Every byte is looked at a bounded number of
// times, and once the buffer has its size nothing is allocated.
//
// Lines end with LF, CRLF or CR. A blank line without fields before it is an
// event of its own, so that line ends sent as a heartbeat are not held back. A
// blank line that ends in CR is over at once where the line before ended in a
// bare CR; elsewhere the next byte is awaited, since CR may be half of CRLF.
//
// A Reader is not safe for concurrent use.
type Reader struct {
	src    io.Reader
	ndjson bool
	buf    []byte
	err    error // what src ended with; sticky

	start int // where the pending event begins in buf
	line  int // where its current line begins
	pos   int // how far the line was searched for its end
	lf    int // no LF lies between pos and lf

	bareCR bool // the line before ended in CR without LF
	first  bool // no line was read yet: a byte order mark may stand here
	found  bool // the pending event is whole and ends at pos

	pending fields
	joined  []byte // data of an event with several data fields
}

// fields is what was seen of the pending event. Positions count from its start.
type fields struct {
	body             int // past the byte order mark
	nameFrom, nameTo int
	dataFrom, dataTo int
	dataLines        int
	named            bool
	errorField       bool
}

// NewReader returns a Reader over src: of server-sent events, or of one JSON
// value a line if ndjson is set.
func NewReader(src io.Reader, ndjson bool) *Reader {
	r := new(Reader)
	r.Reset(src, ndjson)
	return r
}

// Reset makes the Reader read from src as a new one would. It keeps a buffer
// of the initial size and releases one that had to grow.
func (r *Reader) Reset(src io.Reader, ndjson bool) {
	buf, joined := r.buf[:0], r.joined[:0]
	if cap(buf) > startBuffer {
		buf = nil
	}
	if cap(joined) > startBuffer {
		joined = nil
	}
	*r = Reader{src: src, ndjson: ndjson, buf: buf, joined: joined, first: true}
}

// Next returns the next whole event. After the last it returns the error that
// the source ended with, io.EOF at the regular end. A rest that holds a data
// line but not the end of its event is returned before io.EOF as a partial
// event; any other rest, and one before another error, is dropped. An event
// above MaxEvent is ErrTooLarge, and Rest has its beginning. Errors are final.
func (r *Reader) Next() (Event, error) {
	for {
		whole := r.scan()
		if r.size() > MaxEvent {
			r.err = ErrTooLarge
			return Event{}, r.err
		}
		if whole {
			return r.take(r.pos), nil
		}
		if r.err == io.EOF && r.completeRest() {
			ev := r.take(len(r.buf))
			ev.Partial = true
			return ev, nil
		}
		if r.err != nil {
			return Event{}, r.err
		}
		r.fill()
	}
}

// Buffered reports whether Next has another whole event without reading from
// the source. It leaves the event that Next returned last valid.
func (r *Reader) Buffered() bool { return r.scan() && r.size() <= MaxEvent }

// Last is the last n bytes of what Next has returned, one event after the other. They
// are valid as long as the last of these events.
func (r *Reader) Last(n int) []byte { return r.buf[r.start-n : r.start : r.start] }

// Rest is what was read and not returned by Next. After ErrTooLarge it comes
// before what the source still has. It is valid until Reset.
func (r *Reader) Rest() []byte { return r.buf[r.start:] }

// size is the length of the pending event, as far as it is known.
func (r *Reader) size() int {
	if r.found {
		return r.pos - r.start
	}
	return len(r.buf) - r.start
}

// take returns the pending event, which ends at end, and begins the next.
func (r *Reader) take(end int) Event {
	raw := r.buf[r.start:end:end]
	p := &r.pending
	ev := Event{Raw: raw, ErrorField: p.errorField}
	if p.named {
		ev.Name = raw[p.nameFrom:p.nameTo:p.nameTo]
	}
	switch {
	case p.dataLines == 1:
		ev.Data = raw[p.dataFrom:p.dataTo:p.dataTo]
	case p.dataLines > 1:
		r.joined = appendData(r.joined[:0], raw[p.body:])
		ev.Data = r.joined
	}
	r.begin(end)
	return ev
}

func (r *Reader) begin(at int) {
	r.start, r.line, r.pos = at, at, at
	r.found = false
	r.pending = fields{}
}

// completeRest closes the event that the source left open, and reports whether
// that made an event that carries data.
func (r *Reader) completeRest() bool {
	if r.start == len(r.buf) {
		return false
	}
	unended := r.buf[len(r.buf)-1] != '\n'
	r.buf = append(r.buf, '\n')
	if unended && !r.ndjson {
		r.buf = append(r.buf, '\n')
	}
	r.scan()
	if r.pending.dataLines == 0 {
		r.begin(len(r.buf))
		return false
	}
	return true
}

// fill reads once, after making room.
func (r *Reader) fill() {
	r.makeRoom()
	for range emptyReads {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.err = err
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// makeRoom leaves room for at least one byte. It moves the pending event down
// only over at least as many consumed bytes, or once the buffer has its full
// size, so that moving costs no more than reading did. Where nothing is pending, which
// costs nothing, the next event takes the place of the last: of many streams, each of which
// is silent for a while, so much less has to be in the processor's caches.
func (r *Reader) makeRoom() {
	used := len(r.buf) - r.start
	if cap(r.buf) > keptBuffer && used < startBuffer {
		r.move(make([]byte, 0, startBuffer))
	}
	if cap(r.joined) > keptBuffer {
		r.joined = nil
	}
	free := cap(r.buf) - len(r.buf)
	if used == 0 || r.start >= used && free < cap(r.buf)/2 {
		r.move(r.buf)
		free = cap(r.buf) - len(r.buf)
	}
	if free > 0 {
		return
	}
	if size := min(max(2*cap(r.buf), startBuffer), maxBuffer); size > cap(r.buf) {
		r.move(make([]byte, 0, size))
	} else {
		r.move(r.buf)
	}
}

func (r *Reader) move(to []byte) {
	r.buf = to[:copy(to[:cap(to)], r.buf[r.start:])]
	r.line -= r.start
	r.pos -= r.start
	r.lf -= r.start
	r.start = 0
}

// scan goes through the lines that are in the buffer and were not seen before,
// up to the end of the pending event. It reports whether that was found.
func (r *Reader) scan() bool {
	for !r.found {
		end, next, ok := r.lineEnd()
		if !ok {
			return false
		}
		r.addLine(r.line, end)
		r.line, r.pos = next, next
	}
	return true
}

// lineEnd finds the end of the current line and the start of the next.
func (r *Reader) lineEnd() (end, next int, ok bool) {
	r.lf = max(r.lf, r.pos)
	if i := bytes.IndexByte(r.buf[r.lf:], '\n'); i >= 0 {
		r.lf += i
	} else {
		r.lf = len(r.buf)
	}
	if !r.ndjson {
		if i := bytes.IndexByte(r.buf[r.pos:r.lf], '\r'); i >= 0 {
			return r.lineEndCR(r.pos + i)
		}
	}
	if r.lf == len(r.buf) {
		r.pos = r.lf
		return 0, 0, false
	}
	r.bareCR = false
	return r.lf, r.lf + 1, true
}

func (r *Reader) lineEndCR(cr int) (end, next int, ok bool) {
	blank := cr == r.line
	switch {
	case blank && r.bareCR:
	case cr+1 < len(r.buf):
		r.bareCR = r.buf[cr+1] != '\n'
		if !r.bareCR {
			return cr, cr + 2, true
		}
	case r.err == nil:
		r.pos = cr
		return 0, 0, false
	}
	return cr, cr + 1, true
}

// addLine takes note of the line between two positions of the buffer.
func (r *Reader) addLine(from, to int) {
	p := &r.pending
	if r.first {
		r.first = false
		if bytes.HasPrefix(r.buf[from:to], bom) {
			from += len(bom)
			p.body = len(bom)
		}
	}
	if r.ndjson {
		if to > from && r.buf[to-1] == '\r' {
			to--
		}
		p.dataFrom, p.dataTo, p.dataLines = from-r.start, to-r.start, 1
		r.found = true
		return
	}
	if from == to {
		r.found = true
		return
	}
	name, value := splitField(r.buf[from:to])
	switch string(name) {
	case "data":
		p.dataFrom, p.dataTo = to-r.start-len(value), to-r.start
		p.dataLines++
	case "error":
		// Not in the standard: llama.cpp sends {"error":...} as "error: {...}".
		p.dataFrom, p.dataTo = to-r.start-len(value), to-r.start
		p.dataLines++
		p.nameFrom, p.nameTo, p.named = from-r.start, from-r.start+len(name), true
		p.errorField = true
	case "event":
		p.nameFrom, p.nameTo, p.named = to-r.start-len(value), to-r.start, true
	}
}
