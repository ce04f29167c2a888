package cli

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/mock"
)

// modelServer is a model server on a port of the loopback interface. It makes
// its answers up, but the connections are real and can really be lost.
type modelServer struct {
	address string // host:port, the same over all its life
	answers http.RoundTripper
	server  *http.Server  // nil while it is down
	done    chan struct{} // closed when the server has returned
}

// startModel starts a model server on a free port.
func startModel(name string) (*modelServer, error) {
	m := &modelServer{
		address: "127.0.0.1:0",
		answers: &mock.Transport{
			Response: "Hello from " + name + ".",
			Latency:  caddy.Duration(10 * time.Millisecond),
		},
	}
	if err := m.up(); err != nil {
		return nil, err
	}
	return m, nil
}

// up starts the server on its address, if it is not running.
func (m *modelServer) up() error {
	if m.server != nil {
		return nil
	}
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", m.address)
	if err != nil {
		return err
	}
	m.address = ln.Addr().String()
	server, done := &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}, make(chan struct{})
	m.server, m.done = server, done
	go func() {
		defer close(done)
		_ = server.Serve(ln) // ends with ErrServerClosed, by down
	}()
	return nil
}

// down closes the listener and every connection, as a crash does.
func (m *modelServer) down() {
	if m.server == nil {
		return
	}
	_ = m.server.Close() // an error of the listener, which is gone all the same
	<-m.done
	m.server = nil
}

// running tells whether the server is up.
func (m *modelServer) running() bool { return m.server != nil }

// ServeHTTP implements http.Handler.
func (m *modelServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := m.answers.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler) // no answer, but a connection that breaks
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	out := http.NewResponseController(w)
	buf := make([]byte, 4<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			_ = out.Flush() // the next write tells
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
