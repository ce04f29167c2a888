package upstreams

import (
	"bytes"
	"io"
	"net/http"
	"strconv"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// maxRefusal is how much of a bad answer is kept in case it has to be passed on.
const maxRefusal = 1 << 20

// refusal is the last bad answer of an upstream, as it was.
type refusal struct {
	status     int
	header     http.Header
	body       []byte
	whole      bool
	version    string
	pool       string
	deployment *Deployment
}

// readRefusal reads the body of a bad answer.
func (a *answer) readRefusal() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(a.res.Body, maxRefusal+1))
	if len(body) > maxRefusal {
		return body[:maxRefusal], io.ErrShortBuffer
	}
	return body, err
}

// keep remembers a bad answer. whole tells that body is all of it.
func (x *Exchange) keep(a *engine.Attempt, body []byte, whole bool) {
	res := x.answer.res
	x.refusal = refusal{
		status: res.StatusCode, header: res.Header, body: bytes.Clone(body), whole: whole,
		version: versionOf(res),
		pool:    a.Target.Pool.Name, deployment: deploymentOf(a),
	}
}

// Refused tells whether an upstream has given a bad answer that can be passed on.
func (x *Exchange) Refused() bool { return x.refusal.deployment != nil }

// RefusalHeader gives the headers of the bad answer, to look at or add to.
func (x *Exchange) RefusalHeader() (status int, header http.Header) {
	return x.refusal.status, x.refusal.header
}

// PassOnRefusal gives the client the last bad answer as it was. One that was too
// long to keep is cut, and so is the connection.
func (x *Exchange) PassOnRefusal(res *engine.Result) {
	f := &x.refusal
	x.copyHeader(f.deployment, f.status, f.header, f.version)
	h := x.w.Header()
	Stamp(h, f.pool, f.deployment.ID, res.Attempts, res.Fallbacks)
	if f.whole {
		h["Content-Length"] = []string{strconv.Itoa(len(f.body))}
	} else {
		delete(h, "Content-Length")
	}
	x.w.WriteHeader(f.status)
	x.committed = true
	x.w.Write(f.body) //nolint:errcheck // nobody is left to tell
	if !f.whole {     // and must not look as if it were
		x.control.Flush()
		panic(http.ErrAbortHandler)
	}
}
