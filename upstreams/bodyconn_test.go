package upstreams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
)

// recorder is a connection that remembers what is written to it.
type recorder struct {
	net.Conn
	writes [][]byte
	fails  bool
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.fails {
		return 0, io.ErrClosedPipe
	}
	r.writes = append(r.writes, p)
	return len(p), nil
}

func TestBodiesAreSentFromWhereTheyAre(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 100<<10)
	var edits apireq.Edits
	edits.Replace(10, 20, []byte("other"))
	body := apireq.BodyOf(data).NewReader(edits)
	conn := new(recorder)
	limited := &io.LimitedReader{R: body, N: body.Len()}
	n, err := bodyConn{conn}.ReadFrom(limited)
	if err != nil || n != body.Len() || limited.N != 0 {
		t.Fatalf("got %d bytes with %d left and %v, want %d, 0 and no error", n, limited.N, err, body.Len())
	}
	if len(conn.writes) != 3 {
		t.Fatalf("got %d writes, want the parts before, in and after the edit", len(conn.writes))
	}
	if &conn.writes[0][0] != &data[0] || &conn.writes[2][0] != &data[20] {
		t.Error("the body was copied")
	}
	if got, want := bytes.Join(conn.writes, nil), bytes.Join([][]byte{data[:10], []byte("other"), data[20:]}, nil); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes that are not the edited body of %d", len(got), len(want))
	}
}

func TestBodyConnTakesAnythingElse(t *testing.T) {
	part := func() *apireq.Reader {
		return apireq.BodyOf([]byte("0123456789")).NewReader(apireq.Edits{})
	}
	for _, tt := range []struct {
		name string
		from io.Reader
		want string
	}{
		{"a reader", strings.NewReader("text"), "text"},
		{"a limited reader of another kind", io.LimitReader(strings.NewReader("text"), 2), "te"},
		{"a limit that is shorter than the body", io.LimitReader(part(), 4), "0123"},
		{"a limit that is longer than the body", io.LimitReader(part(), 40), "0123456789"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := new(recorder)
			n, err := bodyConn{conn}.ReadFrom(tt.from)
			if got := string(bytes.Join(conn.writes, nil)); err != nil || got != tt.want || n != int64(len(tt.want)) {
				t.Errorf("got %q, %d and %v, want %q", got, n, err, tt.want)
			}
		})
	}
}

func TestBodyConnTellsOfFailures(t *testing.T) {
	body := apireq.BodyOf([]byte("0123456789")).NewReader(apireq.Edits{})
	_, err := bodyConn{&recorder{fails: true}}.ReadFrom(&io.LimitedReader{R: body, N: body.Len()})
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

// What a transport sends must come that way: it has no other way to say so.
func TestTransportsSendInPlace(t *testing.T) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	for _, config := range []string{`{"protocol":"http"}`, `{"protocol":"http","read_timeout":1000000000}`, `{"protocol":"http","versions":["h2c"]}`} {
		transport, err := newTransport(ctx, json.RawMessage(config))
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		dialed := context.WithValue(t.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
		conn, err := transport.(*reverseproxy.HTTPTransport).Transport.DialContext(dialed, "tcp", listener.Addr().String())
		listener.Close()
		if err != nil {
			t.Fatal(err)
		}
		switch conn.(type) {
		case bodyConn, tcpBodyConn:
		default:
			t.Errorf("%s: got a connection of type %T, want one that sends in place", config, conn)
		}
		conn.Close()
	}
}

// The memory that sending a body takes must not grow with it.
func BenchmarkSendBody(b *testing.B) {
	ctx, end := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer end()
	transport, err := newTransport(ctx, json.RawMessage(`{"protocol":"http"}`))
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a failure shows in the answer
	})}
	go server.Serve(listener) //nolint:errcheck // it ends with Close
	defer server.Close()
	for _, size := range []int{4 << 10, 32 << 10, 512 << 10} {
		b.Run("KiB="+strconv.Itoa(size>>10), func(b *testing.B) {
			body := apireq.BodyOf(bytes.Repeat([]byte("x"), size))
			withReplacer := context.WithValue(b.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				reader := body.NewReader(apireq.Edits{})
				req, err := http.NewRequestWithContext(withReplacer, http.MethodPost, "http://"+listener.Addr().String(), reader)
				if err != nil {
					b.Fatal(err)
				}
				req.ContentLength = reader.Len()
				res, err := transport.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				res.Body.Close()
			}
		})
	}
}
