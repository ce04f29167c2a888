package wholepath

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// h2conn is as much of an HTTP/2 client as an extended CONNECT (RFC 8441) takes,
// which Go's own client does not send: one stream, headers without compression.
type h2conn struct {
	*tls.Conn
	data []byte
}

const (
	h2Data, h2Headers, h2Reset, h2Settings, h2Ping, h2GoAway = 0, 1, 3, 4, 6, 7

	h2Ack, h2EndHeaders = 1, 4
)

func (c *h2conn) frame(kind, flags byte, stream uint32, payload []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = append(head, flags)
	head = binary.BigEndian.AppendUint32(head, stream)
	_, err := c.Conn.Write(append(head, payload...))
	return err
}

// next reads one frame and answers what has to be answered.
func (c *h2conn) next() (kind byte, payload []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(c.Conn, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c.Conn, payload); err != nil {
		return 0, nil, err
	}
	switch kind = head[3]; {
	case kind == h2Settings && head[4]&h2Ack == 0, kind == h2Ping && head[4]&h2Ack == 0:
		if kind == h2Settings {
			return kind, payload, c.frame(kind, h2Ack, 0, nil)
		}
		return kind, payload, c.frame(kind, h2Ack, 0, payload)
	case kind == h2Reset, kind == h2GoAway:
		return kind, payload, fmt.Errorf("frame %d: % x", kind, payload)
	}
	return kind, payload, nil
}

// Write implements io.Writer with one DATA frame.
func (c *h2conn) Write(p []byte) (int, error) { return len(p), c.frame(h2Data, 0, 1, p) }

// Read implements io.Reader over the DATA frames.
func (c *h2conn) Read(p []byte) (int, error) {
	for len(c.data) == 0 {
		kind, payload, err := c.next()
		if err != nil {
			return 0, err
		}
		if kind == h2Data {
			c.data = payload
		}
	}
	n := copy(p, c.data)
	c.data = c.data[n:]
	return n, nil
}

// connect asks for a WebSocket and returns once it is there.
func (c *h2conn) connect(path string) error {
	if _, err := io.WriteString(c.Conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		return err
	}
	if err := c.frame(h2Settings, 0, 0, nil); err != nil {
		return err
	}
	var block []byte
	for _, field := range [][2]string{
		{":method", "CONNECT"},
		{":protocol", "websocket"},
		{":scheme", "https"},
		{":authority", "api.example.com"},
		{":path", path},
		{"sec-websocket-version", "13"},
		{"x-llm-trace", "1"},
	} {
		block = append(block, 0, byte(len(field[0]))) // a literal, not to be indexed
		block = append(append(append(block, field[0]...), byte(len(field[1]))), field[1]...)
	}
	offered := false
	for {
		kind, payload, err := c.next()
		switch {
		case err != nil:
			return err
		case kind == h2Settings && !offered:
			// SETTINGS_ENABLE_CONNECT_PROTOCOL = 1
			if offered = strings.Contains(string(payload), "\x00\x08\x00\x00\x00\x01"); !offered {
				return errors.New("the server does not offer extended CONNECT")
			}
			if err := c.frame(h2Headers, h2EndHeaders, 1, block); err != nil {
				return err
			}
		case kind == h2Headers:
			if len(payload) == 0 || payload[0] != 0x88 { // ":status: 200" of the static table
				return fmt.Errorf("got headers % x, want status 200", payload)
			}
			return nil
		}
	}
}

// extendedConnect is set in the process in which HTTP/2 knows extended CONNECT:
// Go reads that off GODEBUG once, when it starts.
const extendedConnect = "LLM_ROUTER_TEST_EXTENDED_CONNECT"

func TestConformanceExtendedConnect(t *testing.T) {
	if os.Getenv(extendedConnect) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestConformanceExtendedConnect$", "-test.v")
		cmd.Env = append(os.Environ(), "GODEBUG=http2xconnect=1", extendedConnect+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestConformanceExtendedConnect/"+routerPort) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p := newPair(t, "http", caddyharness.WithTLS())
	p.u.Always(upperCaser)
	for _, port := range bothPorts() {
		t.Run(port, func(t *testing.T) {
			path := "/v1/realtime?model=p&port=" + port
			ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
			defer cancel()
			raw, err := p.s.Client().Transport.(*http.Transport).DialContext(ctx, "tcp", "localhost:"+port)
			if err != nil {
				t.Fatal(err)
			}
			conn := &h2conn{Conn: tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, ServerName: "localhost"})}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(askTimeout))
			if err := conn.connect(path); err != nil {
				t.Fatal(err)
			}
			converse(t, conn)
			r := p.u.Last(t)
			if r.Method != http.MethodGet || r.Header.Get("Upgrade") != "websocket" {
				t.Errorf("the upstream got %s, %v; want an upgrade", r.Method, r.Header)
			}
			if port == routerPort && r.Header.Get("X-Llm-Trace") != "" {
				t.Errorf("the upstream got %v, with the router's own headers", r.Header)
			}
			conn.Close()
			p.logged(t, path) // Caddy is not to be stopped while it ends the connection
		})
	}
}
