package apireq

import (
	"io"
	"sync/atomic"
)

// maxAhead is the most memory, in bytes, that is set aside on the word of a
// Content-Length. From there on the buffer doubles as bytes arrive, so that a
// client that announces much and sends nothing costs little.
const maxAhead = 1 << 20

// Body is a buffered request body in pooled memory. It is counted: the Body
// itself holds one reference until Release, and each Reader one until its
// Close; the memory goes back to the pool with the last. Until Release, all methods are safe
// for concurrent use.
type Body struct {
	data     []byte
	buf      *buffer // nil: there is nothing to give back
	refs     atomic.Int64
	released atomic.Bool
	gone     atomic.Bool // it has been released, and the memory given back
	prompt   Prompt      // here, so that asking for it costs no memory
}

// ReadBody reads a whole request body from r. contentLength is its announced
// length in bytes, or negative when that is unknown; of a known length exactly
// that much is read. It fails with ErrTooLarge when the body is longer than max
// bytes, which is seen before reading when the length is known, with
// io.ErrUnexpectedEOF when the body is shorter than announced, and otherwise
// with the error of r. Nothing has to be released after an error.
func ReadBody(r io.Reader, contentLength, max int64) (*Body, error) {
	b := new(Body)
	if err := b.Fill(r, contentLength, max); err != nil {
		return nil, err
	}
	return b, nil
}

// Fill is ReadBody into a Body that is new, or gone.
func (b *Body) Fill(r io.Reader, contentLength, max int64) (err error) {
	switch {
	case contentLength > max:
		return ErrTooLarge
	case contentLength > 0 && r == nil:
		return io.ErrUnexpectedEOF
	case contentLength != 0 && r != nil:
		if b.buf, b.data, err = fill(r, contentLength, max); err != nil {
			return err
		}
	}
	b.gone.Store(false)
	b.refs.Store(1)
	b.released.Store(false)
	return nil
}

// Gone tells whether the Body has been released and no Reader is left of it, so that
// whoever alone has it may fill it again.
func (b *Body) Gone() bool { return b.gone.Load() }

// fill reads r to its announced length, or to its end.
func fill(r io.Reader, contentLength, max int64) (*buffer, []byte, error) {
	known := contentLength >= 0
	limit, first := max, int64(1)
	if known {
		limit, first = contentLength, min(contentLength, maxAhead)
	}
	buf := getBuffer(int(first))
	n, idle := 0, 0
	for {
		var room []byte
		if left := limit - int64(n); left > 0 {
			room = buf.data[n:]
			room = room[:min(int64(len(room)), left)]
		} else {
			room = make([]byte, 1) // nothing may come any more
		}
		m, err := r.Read(room)
		n += m
		idle++
		if m > 0 {
			idle = 0
		}
		switch {
		case known && int64(n) == limit:
			return buf, buf.data[:n:n], nil
		case int64(n) > limit:
			err = ErrTooLarge
		case err == io.EOF && !known:
			buf = fit(buf, n)
			return buf, buf.data[:n:n], nil
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
		case err == nil && idle == maxIdleReads:
			err = io.ErrNoProgress
		}
		if err != nil {
			putBuffer(buf)
			return nil, nil, err
		}
		if n == len(buf.data) && int64(n) < limit {
			buf = resize(buf, n, int(min(2*int64(n), limit)))
		}
	}
}

// maxIdleReads is how many reads in a row may bring neither bytes nor an error,
// as in bufio.
const maxIdleReads = 100

// BodyOf is a Body of bytes that are in memory already.
func BodyOf(data []byte) *Body {
	b := &Body{data: data}
	b.refs.Store(1)
	return b
}

// Bytes is the body. It must not be changed, nor used after Release.
func (b *Body) Bytes() []byte { return b.data }

// Release drops the Body's own reference. A second call does nothing. What asks for
// the bytes, or for a Reader with edits, at the same time or later is in error.
func (b *Body) Release() {
	if !b.released.Swap(true) {
		b.data, b.prompt = nil, Prompt{} // or they would keep memory that nobody uses
		b.unref()
	}
}

// ref takes one more reference; it fails when the last one has gone.
func (b *Body) ref() bool {
	for {
		n := b.refs.Load()
		if n == 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (b *Body) unref() {
	if b.refs.Add(-1) > 0 {
		return
	}
	if b.buf != nil {
		putBuffer(b.buf)
		b.buf = nil
	}
	b.gone.Store(true)
}
