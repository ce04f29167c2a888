package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// upstream is a model server that answers at once, with a stream where the body asks
// for one. Its events say when they were sent.
type upstream struct {
	addr     string
	interval atomic.Int64 // between the events of a stream, in nanoseconds
	events   atomic.Int64 // of a stream
	asked    atomic.Int64 // requests so far
	open     atomic.Int64 // requests under way
	server   *http.Server
}

// began is what the times in events count from.
var began = time.Now()

const (
	answer = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		`The text of this message does not matter; it only gives the answer a usual size.` +
		`"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":58,"total_tokens":77}}`
	eventBegin = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"bench-model","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}],"created":`
	eventEnd   = "}\n\n"
	streamEnd  = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"bench-model","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
)

// asksForStream is how a body begins that asks for one.
const asksForStream = `{"stream":true,`

func newUpstream() (*upstream, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{addr: listener.Addr().String()}
	u.server = &http.Server{Handler: u, ReadHeaderTimeout: time.Minute}
	go u.server.Serve(listener) //nolint:errcheck // ends with Close
	return u, nil
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.asked.Add(1)
	u.open.Add(1)
	defer u.open.Add(-1)
	var begin [len(asksForStream)]byte
	io.ReadFull(r.Body, begin[:]) //nolint:errcheck // a body that is cut asks for no stream
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	if string(begin[:]) == asksForStream {
		u.stream(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	io.WriteString(w, answer) //nolint:errcheck // the load counts what arrives
}

func (u *upstream) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	interval := time.Duration(u.interval.Load())
	tick := time.NewTicker(max(interval, 1))
	defer tick.Stop()
	flush := http.NewResponseController(w).Flush
	var event []byte
	for i := range u.events.Load() {
		if i > 0 && interval > 0 {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
		event = append(event[:0], eventBegin...)
		event = strconv.AppendInt(event, int64(time.Since(began)), 10)
		event = append(event, eventEnd...)
		if _, err := w.Write(event); err != nil || flush() != nil {
			return
		}
	}
	io.WriteString(w, streamEnd) //nolint:errcheck // the load counts what arrives
}

// sentAt is when an event was sent, given one of its lines; ok is false for a line
// that does not say so.
func sentAt(line []byte) (at time.Duration, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(eventBegin))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimRight(string(rest), "}\r\n"), 10, 64)
	return time.Duration(n), err == nil
}
