package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load is a number of clients, each of which sends its next request when the answer
// to the last one is complete.
type load struct {
	addr    string
	clients int
	request []byte // as it goes over the wire

	measuring atomic.Bool
	answers   atomic.Int64 // complete and good
	units     atomic.Int64 // while measuring: good answers, or the events of streams
	failures  atomic.Int64
	failure   atomic.Pointer[error] // the latest

	mu     sync.Mutex
	delays []time.Duration // while measuring, in the order of the clients
}

// newLoad is a load of chats of size bytes.
func newLoad(addr string, s *scenario) *load {
	body := chat(s.size, s.modelLast, s.events > 0)
	head := fmt.Sprintf("POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", addr, len(body))
	return &load{addr: addr, clients: s.clients, request: append([]byte(head), body...)}
}

// run sends requests until the context ends.
func (l *load) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range l.clients {
		wg.Go(func() {
			c := client{load: l}
			for ctx.Err() == nil {
				err := c.connect(ctx)
				if err != nil && ctx.Err() == nil {
					l.failure.Store(&err) // before it is counted
					l.failures.Add(1)
					time.Sleep(10 * time.Millisecond) // not to spin on a refusal
				}
			}
			l.mu.Lock()
			l.delays = append(l.delays, c.delays...)
			l.mu.Unlock()
		})
	}
	wg.Wait()
}

// failed is an error where a request has failed.
func (l *load) failed() error {
	if n := l.failures.Load(); n > 0 {
		return fmt.Errorf("%d requests failed, the last one with: %w", n, *l.failure.Load())
	}
	return nil
}

// client is one connection at a time. It is barer than net/http's client, to leave
// the core to the requests.
type client struct {
	load   *load
	reader *bufio.Reader
	delays []time.Duration
}

// connect sends requests over one connection until it breaks or the context ends.
func (c *client) connect(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.load.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c.reader = bufio.NewReader(conn)
	for {
		sent := time.Now()
		if _, err := conn.Write(c.load.request); err != nil {
			return err
		}
		if err := c.answer(sent); err != nil {
			return err
		}
		c.load.answers.Add(1)
	}
}

// answer reads one answer.
func (c *client) answer(sent time.Time) error {
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return c.stream(res.Body)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil {
		return err
	}
	if n != int64(len(answer)) {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	c.took(time.Since(sent))
	return nil
}

func (c *client) stream(body io.Reader) error {
	lines := bufio.NewReader(body)
	for done := false; ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case err == io.EOF && done:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
		if at, ok := sentAt(line); ok {
			c.took(time.Since(began) - at)
		}
		done = done || bytes.HasPrefix(line, []byte("data: [DONE]"))
	}
}

// took counts a unit that arrived so long after it was asked for or sent.
func (c *client) took(d time.Duration) {
	if c.load.measuring.Load() {
		c.delays = append(c.delays, d)
		c.load.units.Add(1)
	}
}
