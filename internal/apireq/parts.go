package apireq

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
)

// parts walks the fields of a multipart form in a buffer, in the manner of
// bufio.Scanner. Its rules for lines are those of mime/multipart, which reads a
// stream and so cannot say where a value stands.
type parts struct {
	b    []byte
	at   int
	err  error
	seen int // parts so far, files included

	dash  []byte // "--boundary"
	nl    []byte // "\r\n"; "\n" when the first boundary line ends so
	delim []byte // nl + dash

	name       string // the name of the field; files are skipped
	start, end int    // span of its value

	block  bytes.Reader // one header, for lines
	lines  *bufio.Reader
	header partHeader
}

func newParts(b []byte, boundary string) (parts, error) {
	if !validBoundary(boundary) {
		return parts{}, fail(ErrBoundary, 0)
	}
	delim := []byte("\r\n--" + boundary)
	return parts{b: b, nl: delim[:2], dash: delim[2:], delim: delim}, nil
}

// next finds the next field.
func (p *parts) next() bool {
	for p.err == nil && p.openPart() {
		if p.seen++; p.seen > maxParts {
			return p.stop(ErrTooManyParts, p.at)
		}
		if !p.readHeader() || !p.findEnd() {
			return false
		}
		if p.header.field {
			p.name = p.header.name
			return true
		}
	}
	return false
}

// openPart reads the boundary line that opens a part. It is false after the
// last part.
func (p *parts) openPart() bool {
	for newline := false; ; {
		line := p.b[p.at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		if rest, ok := bytes.CutPrefix(line, p.dash); ok {
			padding := skipPadding(rest)
			if p.seen == 0 && string(padding) == "\n" {
				p.nl, p.delim = p.nl[1:], p.delim[1:]
			}
			if bytes.Equal(padding, p.nl) {
				p.at += len(line)
				return true
			}
			if rest, ok := bytes.CutPrefix(rest, []byte("--")); ok {
				if rest = skipPadding(rest); len(rest) == 0 || bytes.Equal(rest, p.nl) {
					return false // what follows is the epilogue, which means nothing
				}
			}
		}
		switch {
		case len(line) == 0 || line[len(line)-1] != '\n':
			return p.stop(ErrUnterminated, len(p.b))
		case p.seen == 0: // the preamble
		case !newline && bytes.Equal(line, p.nl):
			newline = true
		default:
			return p.stop(ErrForm, p.at)
		}
		p.at += len(line)
	}
}

// readHeader reads the header of the part that has been opened.
func (p *parts) readHeader() bool {
	window := p.b[p.at:min(len(p.b), p.at+maxPartHeader)]
	p.block.Reset(window)
	if p.lines == nil {
		p.lines = bufio.NewReaderSize(&p.block, 512)
	} else {
		p.lines.Reset(&p.block)
	}
	h, err := textproto.NewReader(p.lines).ReadMIMEHeader()
	switch {
	case err == io.EOF && p.at+len(window) == len(p.b):
		return p.stop(ErrUnterminated, len(p.b))
	case err != nil:
		return p.stop(ErrPartHeader, p.at)
	}
	var ok bool
	if p.header, ok = readPartHeader(h); !ok {
		return p.stop(ErrPartHeader, p.at)
	}
	p.at += len(window) - p.block.Len() - p.lines.Buffered()
	return true
}

// findEnd finds the boundary that ends the part's value and leaves p.at at it.
func (p *parts) findEnd() bool {
	p.start, p.end = p.at, p.at
	if bytes.HasPrefix(p.b[p.at:], p.dash) && endsBoundary(p.b[p.at+len(p.dash):]) {
		return true // an empty value may lack its line break
	}
	for i := p.at; ; {
		j := bytes.Index(p.b[i:], p.delim)
		if j < 0 {
			return p.stop(ErrUnterminated, len(p.b))
		}
		p.end = i + j
		i = p.end + len(p.delim)
		if endsBoundary(p.b[i:]) {
			p.at = p.end
			return true
		}
	}
}

// endsBoundary reports whether what follows "--boundary" makes it one, and not
// the beginning of a longer word.
func endsBoundary(rest []byte) bool {
	if len(rest) == 0 {
		return true
	}
	switch rest[0] {
	case ' ', '\t', '\r', '\n':
		return true
	}
	return len(rest) > 1 && rest[0] == '-' && rest[1] == '-'
}

func (p *parts) stop(err error, offset int) bool {
	p.err = fail(err, offset)
	return false
}
