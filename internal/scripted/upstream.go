// Package scripted is a model server for tests that does, request by request,
// what its script says, on a real listener: it answers, streams, stalls, cuts,
// resets and hangs, and records what it was asked.
package scripted

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// Upstream is a running scripted server. Its methods are safe for concurrent
// use.
type Upstream struct {
	// URL is scheme://host:port, without a path. On a unix socket the host is
	// "localhost" and only a client that dials Addr reaches it.
	URL string
	// Addr is host:port, or "unix/" and the path of the socket, as Caddy writes it.
	Addr string
	// Cert is the server's certificate with WithTLS, else nil.
	Cert *tls.Certificate

	mu      sync.Mutex
	queue   []Step
	always  Step
	records []*Request
	changed chan struct{} // closed and replaced when records change
}

// Request is what the upstream was asked.
type Request struct {
	Method string
	Path   string
	Query  url.Values
	Host   string
	Proto  string
	Header http.Header
	Body   []byte
	// At is when the headers had been read.
	At time.Time
	// Done says that the step is over.
	Done bool
	// Canceled says that the client had left before the step was over.
	Canceled bool
}

// Option is a choice about the listener.
type Option func(*options)

type options struct{ tls, unix, h2c bool }

// WithTLS serves HTTPS (HTTP/1.1 and HTTP/2) with a certificate of its own.
func WithTLS() Option { return func(o *options) { o.tls = true } }

// WithUnixSocket listens on a unix socket.
func WithUnixSocket() Option { return func(o *options) { o.unix = true } }

// WithH2C serves HTTP/2 without TLS, beside HTTP/1.1.
func WithH2C() Option { return func(o *options) { o.h2c = true } }

// New starts an upstream on a free port of 127.0.0.1 that ends with the test.
// Until told otherwise it answers every request with OK("ok").
func New(t testing.TB, opts ...Option) *Upstream {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	u := &Upstream{always: OK("ok"), changed: make(chan struct{})}
	ln := u.listen(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{
		Handler:     http.HandlerFunc(u.serve),
		BaseContext: func(net.Listener) context.Context { return ctx },
		Protocols:   new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(o.tls)
	srv.Protocols.SetUnencryptedHTTP2(o.h2c)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if o.tls {
			srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*u.Cert}}
			_ = srv.ServeTLS(ln, "", "")
			return
		}
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		cancel()
		_ = srv.Close()
		<-ended
		u.WaitIdle(t)
	})
	return u
}

func (u *Upstream) listen(t testing.TB, o options) net.Listener {
	t.Helper()
	scheme := "http://"
	if o.tls {
		scheme = "https://"
		cert := NewCert(t, "localhost", "127.0.0.1")
		u.Cert = &cert
	}
	if o.unix {
		// Not t.TempDir, whose paths are often too long for a socket.
		dir, err := os.MkdirTemp("", "up")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, "s")
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		u.Addr, u.URL = "unix/"+path, scheme+"localhost"
		return ln
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u.Addr = ln.Addr().String()
	u.URL = scheme + u.Addr
	return ln
}

// Then appends steps for the next requests, one for each. When they are used
// up, the step of Always is next.
func (u *Upstream) Then(steps ...Step) *Upstream {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queue = append(u.queue, steps...)
	return u
}

// Always sets the step of every request that has none of its own.
func (u *Upstream) Always(step Step) *Upstream {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.always = step
	return u
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	rec := &Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Host: r.Host, Proto: r.Proto,
		Header: r.Header.Clone(), At: time.Now(),
	}
	// Only with a drained body does the server notice that the client leaves.
	body, err := io.ReadAll(r.Body)
	rec.Body = body
	r.Body = io.NopCloser(bytes.NewReader(body))

	u.mu.Lock()
	step := u.always
	if len(u.queue) > 0 {
		step, u.queue = u.queue[0], u.queue[1:]
	}
	u.records = append(u.records, rec)
	u.notify()
	u.mu.Unlock()

	defer func() { // also when the step panics to abort the response
		u.mu.Lock()
		rec.Done, rec.Canceled = true, err != nil || r.Context().Err() != nil
		u.notify()
		u.mu.Unlock()
	}()
	if err == nil {
		step(w, r)
	}
}

// notify wakes those that wait. The lock is held.
func (u *Upstream) notify() {
	close(u.changed)
	u.changed = make(chan struct{})
}

// Count is how many requests have come.
func (u *Upstream) Count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.records)
}

// Requests are copies of the requests so far, in the order in which their
// bodies had been read.
func (u *Upstream) Requests() []Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.snapshot()
}

func (u *Upstream) snapshot() []Request {
	out := make([]Request, len(u.records))
	for i, r := range u.records {
		out[i] = *r
	}
	return out
}

// Last is the latest request; the test fails if there is none.
func (u *Upstream) Last(t testing.TB) Request {
	t.Helper()
	all := u.Requests()
	if len(all) == 0 {
		t.Fatal("the upstream has had no request")
	}
	return all[len(all)-1]
}

// WaitFor waits until the requests so far satisfy ok, and returns them. After
// 10 seconds the test fails with what was waited for.
func (u *Upstream) WaitFor(t testing.TB, what string, ok func([]Request) bool) []Request {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		u.mu.Lock()
		all, changed := u.snapshot(), u.changed
		u.mu.Unlock()
		if ok(all) {
			return all
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited 10s for %s; the upstream has had %d requests", what, len(all))
		}
	}
}

// WaitCount waits until n requests have come.
func (u *Upstream) WaitCount(t testing.TB, n int) []Request {
	t.Helper()
	return u.WaitFor(t, "more requests", func(all []Request) bool { return len(all) >= n })
}

// WaitCanceled waits until n requests have been left by their client.
func (u *Upstream) WaitCanceled(t testing.TB, n int) []Request {
	t.Helper()
	return u.WaitFor(t, "the client to leave", func(all []Request) bool {
		return len(slices.DeleteFunc(slices.Clone(all), func(r Request) bool { return !r.Canceled })) >= n
	})
}

// WaitIdle waits until no step is running.
func (u *Upstream) WaitIdle(t testing.TB) []Request {
	t.Helper()
	return u.WaitFor(t, "all requests to end", func(all []Request) bool {
		return !slices.ContainsFunc(all, func(r Request) bool { return !r.Done })
	})
}
