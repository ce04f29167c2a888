// Package caddyharness runs a real Caddy inside a test: on unix sockets, with
// its log in memory, and without a trace in the home directory of whoever runs
// the test. Caddy is one per process, so a test that uses this package cannot
// be parallel; Load sees to it.
package caddyharness

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	// Without the HTTP app and its handlers there is nothing to load.
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// Server is a running Caddy.
type Server struct {
	dir    string // short, because paths of unix sockets are
	opts   options
	logs   *logBuffer
	client *http.Client
	cert   *certificate

	mu    sync.Mutex        // a client may dial during a reload
	ports map[string]string // port of the config: address that is really listened on
	first string            // address of the first server
}

// Option is a choice about how Caddy runs.
type Option func(*options)

type options struct {
	tcp   bool
	tls   bool
	admin bool
}

// WithTCP listens on free ports of 127.0.0.1 rather than on unix sockets.
func WithTCP() Option { return func(o *options) { o.tcp = true } }

// WithTLS is WithTCP with a certificate that the client trusts, which gives
// HTTP/2.
func WithTLS() Option { return func(o *options) { o.tcp, o.tls = true, true } }

// WithAdmin serves the admin API, for AdminClient.
func WithAdmin() Option { return func(o *options) { o.admin = true } }

// loaded guards the one Caddy of the process.
var loaded atomic.Bool

// Load runs Caddy with a Caddyfile or a JSON config until the test ends. The
// test fails if the config does not load.
//
// The config stays as its author wrote it: servers listen elsewhere than they
// say, the admin API is off, automatic HTTPS is off, and every log that has no
// writer of its own is written, from DEBUG on, to memory. The client finds a
// server by the port that the config names.
func Load(t testing.TB, config string, opts ...Option) *Server {
	t.Helper()
	if !loaded.CompareAndSwap(false, true) {
		t.Fatal("caddyharness: this test has loaded a Caddy already; use Reload")
	}
	t.Cleanup(func() { loaded.Store(false) })
	dir, err := os.MkdirTemp("", "ch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// What Caddy keeps for itself goes to the same place. Setenv also fails a
	// test that is parallel.
	t.Setenv("XDG_DATA_HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", dir)

	s := &Server{dir: dir, logs: newLogBuffer(t, filepath.Base(dir)), ports: make(map[string]string)}
	for _, opt := range opts {
		opt(&s.opts)
	}
	if s.opts.tls {
		s.cert = newCertificate(t)
	}
	s.client = s.newClient()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if s.opts.admin {
			// Stop leaves the admin API running; a config without it does not.
			if err := caddy.Load([]byte(`{"admin":{"disabled":true,"config":{"persist":false}}}`), true); err != nil {
				t.Errorf("stopping the admin API: %v", err)
			}
		}
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	if err := s.load(config); err != nil {
		t.Fatalf("loading Caddy: %v", err)
	}
	return s
}

// Reload loads another config into the running Caddy. The test fails if it does
// not load.
func (s *Server) Reload(t testing.TB, config string) {
	t.Helper()
	if err := s.TryReload(config); err != nil {
		t.Fatalf("reloading Caddy: %v", err)
	}
}

// TryReload is Reload for a config that may be refused.
func (s *Server) TryReload(config string) error { return s.load(config) }

func (s *Server) load(config string) error {
	json, err := s.prepare(config)
	if err != nil {
		return err
	}
	return caddy.Load(json, true)
}

// Client is a client whose every connection leads to this Caddy: to the server
// whose port the URL names, or else to the first one. It has no timeout,
// follows no redirects and adds no Accept-Encoding. Its URLs are http://, or
// https:// with WithTLS; the host is up to the caller.
func (s *Server) Client() *http.Client { return s.client }

// URL makes a URL for Client that leads to the first server.
func (s *Server) URL(path string) string {
	if s.opts.tls {
		return "https://localhost" + path
	}
	return "http://localhost" + path
}

// Dial opens a plain connection to the first server.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) { return dial(ctx, s.Addr()) }

// Addr is the address of the first server, host:port or "unix/" and a path.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// addrOf finds the address that stands for the host:port of a URL.
func (s *Server) addrOf(addr string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, port, err := net.SplitHostPort(addr); err == nil && s.ports[port] != "" {
		return s.ports[port]
	}
	return s.first
}

// AdminClient is a client for the admin API, whose URLs begin with
// http://localhost. It needs WithAdmin.
func (s *Server) AdminClient(t testing.TB) *http.Client {
	t.Helper()
	if !s.opts.admin {
		t.Fatal("caddyharness: AdminClient needs WithAdmin")
	}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, s.adminAddr())
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// AdminAddr is the address of the admin API, in Caddy's notation. It needs
// WithAdmin.
func (s *Server) AdminAddr() string { return s.adminAddr() }

func (s *Server) newClient() *http.Client {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return dial(ctx, s.addrOf(addr))
		},
		DisableCompression: true,
		ForceAttemptHTTP2:  true,
	}
	if s.cert != nil {
		tr.TLSClientConfig = s.cert.client
	}
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	network := "tcp"
	if path, ok := isUnix(addr); ok {
		network, addr = "unix", path
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
