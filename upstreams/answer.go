package upstreams

import (
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

const (
	// holdWholeLimit is how much of an answer that does not stream is held back
	// before the client gets its head. Most are held whole, so that one that is
	// cut can be asked for again.
	holdWholeLimit = 1 << 20
	// holdStreamLimit is how much of a stream is held back while its first content
	// event has not come.
	holdStreamLimit = 64 << 10
	// firstRead is how much of an answer of unknown kind is awaited.
	firstRead = 32 << 10
)

// answer is an upstream's response that the client has not got yet.
type answer struct {
	res *http.Response
	// held are the bytes that have been read; complete tells that they are all.
	held     []byte
	complete bool
	// streams tells that the body is a stream of events that can be read.
	streams bool
	// json tells that the body is one JSON value that can be read.
	json bool
	// ndjson tells that the events are lines.
	ndjson bool
}

// newAnswer looks at the head of a response.
func newAnswer(res *http.Response, d api.Dialect) answer {
	a := answer{res: res}
	if enc := res.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return a // compressed although not asked for: nothing to read in it
	}
	switch contentType(res.Header) {
	case "text/event-stream":
		a.streams = true
	case "application/x-ndjson", "application/ndjson":
		a.streams, a.ndjson = true, true
	case "application/json":
		a.json = true
	}
	return a
}

// contentType is the media type of a response in lower case.
func contentType(h http.Header) string {
	value := h.Get("Content-Type")
	switch value { // the usual spellings need no parsing
	case "application/json", "text/event-stream":
		return value
	}
	if mediaType, _, err := mime.ParseMediaType(value); err == nil {
		return mediaType
	}
	before, _, _ := strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(before))
}

// good tells whether the status says that the request was served.
func (a *answer) good() bool { return a.res.StatusCode < 400 }

// lengthKnown tells that the whole body is held, so that its length can be told
// although the upstream did not.
func (a *answer) lengthKnown() bool {
	return a.complete && !a.streams && bodyAllowed(a.res.StatusCode)
}

// bodyAllowed tells whether a response of this status may have a body.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// close ends the response, read or not.
func (a *answer) close() {
	if a.res != nil {
		a.res.Body.Close()
	}
	if a.held != nil {
		putHold(a.held)
	}
	*a = answer{}
}

// read holds up to limit bytes of the body back.
func (a *answer) read(limit int) error {
	if a.held == nil {
		a.held = getHold()
	}
	for len(a.held) < limit {
		if len(a.held) == cap(a.held) {
			a.held = append(a.held, 0)[:len(a.held)]
		}
		n, err := a.res.Body.Read(a.held[len(a.held):min(cap(a.held), limit)])
		a.held = a.held[:len(a.held)+n]
		if err == io.EOF {
			a.complete = true
			return nil
		}
		if err != nil {
			return err
		}
		if limit == firstRead && n > 0 {
			return nil
		}
	}
	return nil
}
