// Package sse reads the streams that model servers answer with, event by
// event: server-sent events, and the NDJSON of Ollama. It tells what an event
// means for a router (keep-alive, lifecycle, content, error, end), knows when a
// stream is complete, writes the event that closes a broken one, and can check
// and splice a second stream onto what a client has already got.
//
// Only whole events ever leave a Reader. A stream that breaks inside an event
// has therefore sent nothing of it, and a closing event can follow what was
// sent as it stands: there is nothing to repair.
package sse

import "bytes"

// Event is one event of a stream. Its slices point into the Reader's buffer
// and are valid until the next call of Next or Reset.
type Event struct {
	// Raw is the event as it came, with the blank line that ends it. Written
	// out one after the other, the Raws of a stream are the stream.
	Raw []byte
	// Name is the value of the last event field, nil without one.
	Name []byte
	// Data is the value of the data field; several are joined with a newline.
	// Nil without one, as for a comment. In NDJSON it is the line.
	Data []byte
	// Partial says that the source ended without the line ends that close an
	// event. Raw has them all the same, so that it can be passed on.
	Partial bool
	// ErrorField says that data came in an error field, which is not in the
	// standard: clients skip it.
	ErrorField bool
}

var bom = []byte("\xef\xbb\xbf")

// splitField cuts a line into the name and the value of its field. A comment
// has the empty name.
func splitField(line []byte) (name, value []byte) {
	name, value, _ = bytes.Cut(line, []byte{':'})
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	return name, value
}

// nextLine cuts the first line off text, whichever way it ends.
func nextLine(text []byte) (line, rest []byte) {
	i := bytes.IndexAny(text, "\r\n")
	switch {
	case i < 0:
		return text, nil
	case text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n':
		return text[:i], text[i+2:]
	}
	return text[:i], text[i+1:]
}

// appendData appends the joined values of the data fields in raw.
func appendData(dst, raw []byte) []byte {
	first := true
	var line []byte
	for len(raw) > 0 {
		line, raw = nextLine(raw)
		name, value := splitField(line)
		if string(name) != "data" && string(name) != "error" {
			continue
		}
		if !first {
			dst = append(dst, '\n')
		}
		first = false
		dst = append(dst, value...)
	}
	return dst
}
