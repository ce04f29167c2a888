package llmrouter_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() {
	caddy.RegisterModule(instant{})
}

// instant is a transport that reads a request and has its answer at hand, so that a
// benchmark sees the handler before it and nothing else. A path that ends in
// /stream is answered with events, one that ends in /open with the first of them
// only, and one that ends in /held not at all.
type instant struct{}

// held gets a value for each request to /held, once its body has been read, and for
// each to /open, once its first event has been taken.
var held = make(chan struct{})

func (instant) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.test_instant", New: func() caddy.Module { return new(instant) }}
}

var (
	instantAnswer = []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("Some words. ", 40) + `"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":80,"total_tokens":99}}`)
	instantEvent = []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}` + "\n\n")
	instantEnd   = []byte(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
)

func (instant) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Path, "/held") {
		held <- struct{}{}
		<-r.Context().Done()
		r.Body.Close()
		return nil, r.Context().Err()
	}
	r.Body.Close()
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil { // as Go's transport tells
		if trace.GotConn != nil {
			trace.GotConn(httptrace.GotConnInfo{})
		}
		if trace.WroteRequest != nil {
			trace.WroteRequest(httptrace.WroteRequestInfo{})
		}
	}
	res := &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}},
	}
	stream := func(body io.ReadCloser) (*http.Response, error) {
		res.Header.Set("Content-Type", "text/event-stream")
		res.ContentLength, res.Body = -1, body
		return res, nil
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/stream"):
		return stream(&events{left: 100})
	case strings.HasSuffix(r.URL.Path, "/open"):
		return stream(&openStream{ended: r.Context()})
	}
	res.Header.Set("Content-Type", "application/json")
	res.Header.Set("Content-Length", strconv.Itoa(len(instantAnswer)))
	res.ContentLength, res.Body = int64(len(instantAnswer)), io.NopCloser(bytes.NewReader(instantAnswer))
	return res, nil
}

// events is a stream that gives one event for each Read.
type events struct{ left int }

func (e *events) Read(p []byte) (int, error) {
	switch e.left--; {
	case e.left > 0:
		return copy(p, instantEvent), nil
	case e.left == 0:
		return copy(p, instantEnd), nil
	}
	return 0, io.EOF
}

func (*events) Close() error { return nil }

// openStream is a stream that falls silent after its first event.
type openStream struct {
	ended context.Context
	said  bool
}

func (s *openStream) Read(p []byte) (int, error) {
	if !s.said {
		s.said = true
		return copy(p, instantEvent), nil
	}
	held <- struct{}{}
	<-s.ended.Done()
	return 0, s.ended.Err()
}

func (*openStream) Close() error { return nil }
