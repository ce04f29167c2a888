package scripted

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Step is what the upstream does with one request. The request's body can be
// read again.
type Step func(w http.ResponseWriter, r *http.Request)

// Reply answers with a status, headers (which may be nil) and a body. The
// default Content-Type is application/json.
func Reply(status int, header http.Header, body string) Step {
	return func(w http.ResponseWriter, _ *http.Request) {
		setHeader(w, header, "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Stream sends server-sent events, flushed one by one, interval apart. An event
// that is not in wire format yet becomes the data of one.
func Stream(interval time.Duration, events ...string) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		stream(w, r, interval, events)
	}
}

// Lines sends newline-delimited JSON, flushed line by line, interval apart.
func Lines(interval time.Duration, lines ...string) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for i, line := range lines {
			if i > 0 && !wait(r, interval) {
				return
			}
			_, _ = io.WriteString(w, line+"\n")
			flush(w)
		}
	}
}

// StallAfter sends events and then nothing more, until the client leaves.
func StallAfter(events ...string) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		stream(w, r, 0, events)
		<-r.Context().Done()
	}
}

// CutAfter runs a step and breaks the connection (the stream, in HTTP/2) after
// n bytes of its body, or at its end if that comes first.
func CutAfter(n int, step Step) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		cut := &cutter{ResponseWriter: w, left: n}
		step(cut, r)
		cut.abort()
	}
}

// ResetBeforeHeaders ends the connection with a TCP reset, without an answer.
func ResetBeforeHeaders() Step {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil { // HTTP/2: a reset of the stream
			panic(http.ErrAbortHandler)
		}
		raw := conn
		if t, ok := conn.(*tls.Conn); ok {
			raw = t.NetConn()
		}
		if tcp, ok := raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // close sends RST rather than FIN
		}
		_ = raw.Close()
	}
}

// Hang answers nothing until the client leaves.
func Hang() Step {
	return func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
}

// HeadersThenHang sends status and headers (which may be nil), and no body
// until the client leaves.
func HeadersThenHang(status int, header http.Header) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		setHeader(w, header, "text/event-stream")
		w.WriteHeader(status)
		flush(w)
		<-r.Context().Done()
	}
}

// After waits before a step, unless the client leaves first.
func After(d time.Duration, step Step) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		if wait(r, d) {
			step(w, r)
		}
	}
}

func stream(w http.ResponseWriter, r *http.Request, interval time.Duration, events []string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	flush(w)
	for i, e := range events {
		if i > 0 && !wait(r, interval) {
			return
		}
		_, _ = io.WriteString(w, event(e))
		flush(w)
	}
}

// event puts an event into wire format, if it is not there yet.
func event(e string) string {
	for _, prefix := range []string{"data:", "event:", "id:", "retry:", ":"} {
		if strings.HasPrefix(e, prefix) {
			return strings.TrimRight(e, "\n") + "\n\n"
		}
	}
	return "data: " + e + "\n\n"
}

// wait reports whether d went by with the client still there.
func wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return r.Context().Err() == nil
	case <-r.Context().Done():
		return false
	}
}

func setHeader(w http.ResponseWriter, header http.Header, contentType string) {
	w.Header().Set("Content-Type", contentType)
	for name, values := range header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

// cutter lets so many bytes through and then aborts.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	c.abort()
	return 0, nil
}

func (c *cutter) abort() {
	flush(c.ResponseWriter) // what was written is to arrive
	panic(http.ErrAbortHandler)
}
