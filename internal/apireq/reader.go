package apireq

import (
	"io"
	"net"
	"sync"
)

// maxWrite is how much WriteTo hands over at once, in bytes: after a Close the
// memory is held for no longer than one such write takes.
const maxWrite = 256 << 10

// Reader reads a body once, with parts of it replaced. It is an
// io.ReadCloser and an io.WriterTo. Close may be called at any time and from
// any goroutine, as http.Transport does.
type Reader struct {
	size int64

	mu      sync.Mutex // guards all below
	body    *Body      // nil once the reference is dropped
	parts   pieces     // what is left to read, in order
	closed  bool
	writing bool   // WriteTo uses the memory outside the lock and drops the reference
	batch   pieces // the memory of what WriteTo writes at once
}

// NewReader reads the body with edits, without copying it; replacements must stay
// as they are until the Reader is closed. A span that is not within the body, or
// overlaps another, panics, as slicing does. After Release and the Close of all
// Readers there is no body left: the new Reader is a closed one.
func (b *Body) NewReader(edits Edits) *Reader {
	r := &Reader{body: b, parts: edits.pieces(b.data)}
	for _, p := range r.parts {
		r.size += int64(len(p))
	}
	if !b.ref() {
		*r = Reader{closed: true}
	}
	return r
}

// Append appends what a Reader with the same edits would give to dst.
func (b *Body) Append(dst []byte, edits Edits) []byte {
	for _, p := range edits.pieces(b.data) {
		dst = append(dst, p...)
	}
	return dst
}

// Len is the number of bytes that the Reader gives from its beginning to its
// end, whatever has been read: the Content-Length.
func (r *Reader) Len() int64 { return r.size }

// Left is how many bytes have not been read; 0 after Close.
func (r *Reader) Left() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var left int64
	for _, p := range r.parts {
		left += int64(len(p))
	}
	return left
}

// Read implements io.Reader. It fails with ErrClosed after Close.
func (r *Reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, ErrClosed
	}
	n := 0
	for i := range r.parts {
		m := copy(p[n:], r.parts[i])
		r.parts[i] = r.parts[i][m:]
		n += m
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// WriteTo implements io.WriterTo. A Close in the meantime does not wait for w:
// WriteTo ends with ErrClosed after the write under way.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var total int64
	for {
		if r.closed {
			return total, ErrClosed
		}
		if r.writing {
			return total, errTwoWriters
		}
		next := r.take()
		if len(next) == 0 {
			return total, nil
		}
		n, err := r.write(w, next)
		total += n
		if err != nil {
			return total, err
		}
	}
}

// take removes the next pieces of at most maxWrite bytes from what is left.
func (r *Reader) take() net.Buffers {
	taken, room := net.Buffers(r.batch[:0]), maxWrite
	for i, part := range r.parts {
		n := min(len(part), room)
		if n > 0 {
			taken = append(taken, part[:n])
			r.parts[i] = part[n:]
			room -= n
		}
	}
	return taken
}

// write gives a batch to w, in one go if it is a connection, without the lock, and
// takes the lock again even when w panics.
func (r *Reader) write(w io.Writer, batch net.Buffers) (n int64, err error) {
	r.writing = true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.writing = false
		if r.closed {
			r.drop()
		}
	}()
	var want int64
	for _, piece := range batch {
		want += int64(len(piece))
	}
	n, err = batch.WriteTo(w)
	if err == nil && n != want {
		err = io.ErrShortWrite
	}
	return n, err
}

// Close drops the Reader's reference on the body. It never fails, never blocks
// on a write under way, and a second call does nothing.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.parts = pieces{}
	if !r.writing {
		r.drop()
	}
	return nil
}

func (r *Reader) drop() {
	if r.body != nil {
		r.body.unref()
		r.body = nil
	}
}
