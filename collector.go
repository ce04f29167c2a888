package llmrouter

import (
	"maps"
	"net/http"
	"strconv"
)

// collector holds an answer back that the client is not to get as it is. Its header
// begins as that of the client's response, to which others may have added.
type collector struct {
	header http.Header
	status int
	body   []byte
	long   bool
}

// Header implements http.ResponseWriter.
func (c *collector) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *collector) WriteHeader(status int) {
	if status >= http.StatusOK && c.status == 0 {
		c.status = status
	}
}

// Write implements http.ResponseWriter. What is too long is not held any more.
func (c *collector) Write(p []byte) (int, error) {
	if c.long = c.long || len(c.body)+len(p) > maxBatch; !c.long {
		c.body = append(c.body, p...)
	}
	return len(p), nil
}

// good tells whether the answer is whole and can be read.
func (c *collector) good() bool {
	return c.status == http.StatusOK && !c.long && c.header.Get("Content-Encoding") == ""
}

// pass gives a client the answer, with another body.
func (c *collector) pass(w http.ResponseWriter, body []byte) {
	h := w.Header()
	clear(h)
	maps.Copy(h, c.header)
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(max(c.status, http.StatusOK))
	w.Write(body) //nolint:errcheck // a client that is gone needs no error
}
