package cli

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

func startedModel(t *testing.T) *modelServer {
	t.Helper()
	m, err := startModel("llama3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.down)
	return m
}

func TestModelAnswers(t *testing.T) {
	caddyharness.NoLeaks(t)
	m := startedModel(t)
	for _, stream := range []bool{false, true} {
		p, err := newProber(m.address, "llama3")
		if err != nil {
			t.Fatal(err)
		}
		defer p.client.CloseIdleConnections()
		p.stream = stream
		if r := p.probe(t.Context()); !r.ok() || r.Model != "llama3" || (r.FirstToken > 0) != stream {
			t.Errorf("stream %v: got %q, model %q, first token after %v", stream, r.Err, r.Model, r.FirstToken)
		}
	}
}

func TestModelGoesDownAndComesBack(t *testing.T) {
	caddyharness.NoLeaks(t)
	m := startedModel(t)
	address := m.address
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// An answer first, so that the connection is the server's and not the
	// system's alone.
	io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: m\r\n\r\n")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)

	m.down()
	if _, err := reader.ReadByte(); err == nil {
		t.Error("got a byte on a connection of a server that is down")
	}
	if again, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
		again.Close()
		t.Error("a server that is down accepts connections")
	}
	if m.running() {
		t.Error("a server that is down says it runs")
	}
	m.down() // twice is once

	for range 2 { // so is up
		if err := m.up(); err != nil {
			t.Fatal(err)
		}
	}
	if !m.running() || m.address != address {
		t.Errorf("got running %v at %s, want it at %s", m.running(), m.address, address)
	}
	if again, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err != nil {
		t.Errorf("a server that is up again: %v", err)
	} else {
		again.Close()
	}
}

func TestModelCannotTakeAPortOfAnother(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	m := &modelServer{address: ln.Addr().String()}
	if err := m.up(); err == nil || m.running() {
		t.Errorf("got %v, running %v; want an error", err, m.running())
		m.down()
	}
}

// roundTrip answers with a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// brokenReader fails after its text.
type brokenReader struct{ text io.Reader }

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// An answer that fails breaks the connection, so that nobody takes it for a
// whole one.
func TestModelPassesFailuresOn(t *testing.T) {
	tests := []struct {
		name    string
		answers roundTrip
	}{
		{"no answer", func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }},
		{"half an answer", func(*http.Request) (*http.Response, error) {
			body := io.NopCloser(brokenReader{strings.NewReader("half")})
			return &http.Response{StatusCode: 200, Header: make(http.Header), Body: body}, nil
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(&modelServer{answers: tt.answers})
			defer server.Close()
			resp, err := server.Client().Get(server.URL)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("got %q as a whole answer, want an error", body)
			}
		})
	}
}
