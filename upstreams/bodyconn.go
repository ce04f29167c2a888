package upstreams

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
)

// sendInPlace lets a transport send bodies from the memory that they are in. Go's
// would copy each of them through a buffer of 32 KiB that it makes for the purpose.
func sendInPlace(transport *reverseproxy.HTTPTransport) {
	t := transport.Transport
	if t == nil || t.DialContext == nil {
		return
	}
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			return tcpBodyConn{tcp}, nil
		}
		return bodyConn{conn}, nil
	}
}

// tcpBodyConn is a bodyConn over TCP. As an interface it is its pointer, where another
// takes memory of its own, which each event of each stream would have to fetch.
type tcpBodyConn struct{ *net.TCPConn }

// ReadFrom implements io.ReaderFrom.
func (c tcpBodyConn) ReadFrom(r io.Reader) (int64, error) { return sendBody(c.TCPConn, r) }

// bodyConn is a connection to an upstream.
type bodyConn struct{ net.Conn }

// ReadFrom implements io.ReaderFrom.
func (c bodyConn) ReadFrom(r io.Reader) (int64, error) { return sendBody(c.Conn, r) }

// sendBody writes what a transport reads a body from: it is behind a limit, which is its
// length.
func sendBody(conn net.Conn, r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(conn, r)
	}
	body, ok := limited.R.(*apireq.Reader)
	if !ok || body.Left() != limited.N {
		return io.Copy(conn, r)
	}
	n, err := body.WriteTo(conn)
	limited.N -= n
	return n, err
}

// CloseWrite tells the upstream of a connection that was upgraded that the client has
// said all: without it, Caddy would end such a connection in both directions.
func (c bodyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}
