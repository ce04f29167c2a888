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
		return bodyConn{conn}, nil
	}
}

// bodyConn is a connection to an upstream.
type bodyConn struct{ net.Conn }

// ReadFrom implements io.ReaderFrom. A transport gives it bodies behind a limit,
// which is their length.
func (c bodyConn) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		return io.Copy(c.Conn, r)
	}
	body, ok := limited.R.(*apireq.Reader)
	if !ok || body.Left() != limited.N {
		return io.Copy(c.Conn, r)
	}
	n, err := body.WriteTo(c.Conn)
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
