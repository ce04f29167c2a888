package wholepath

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// How exchanges end, through reverse_proxy and through the router: answers on
// their way, clients and upstreams that leave, and protocols that take over.

// start sends a request whose answer is read by the test, if at all.
func (p *pair) start(t *testing.T, ctx context.Context, port, path, body string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(port, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return p.s.Client().Do(r)
}

// logged is the status that the access log says a path was answered with.
func (p *pair) logged(t *testing.T, path string) int {
	t.Helper()
	e := p.s.WaitForLog(t, func(e caddyharness.Entry) bool {
		request, _ := e.Fields["request"].(map[string]any)
		return strings.HasPrefix(e.Logger, "http.log.access") && request["uri"] == path
	})
	status, _ := e.Fields["status"].(float64)
	return int(status)
}

func clients() map[string][]caddyharness.Option {
	return map[string][]caddyharness.Option{"HTTP1": nil, "HTTP2": {caddyharness.WithTLS()}}
}

// Each piece of an answer of unknown length reaches the client while the next
// one is still awaited.
func TestConformanceFlush(t *testing.T) {
	for protocol, opts := range clients() {
		for _, contentType := range []string{"text/plain", "text/event-stream", "application/x-ndjson", "application/octet-stream", ""} {
			t.Run(protocol+" "+contentType, func(t *testing.T) {
				p := newPair(t, "http", opts...)
				for _, port := range bothPorts() {
					next := make(chan struct{})
					p.u.Always(func(w http.ResponseWriter, r *http.Request) {
						w.Header()["Content-Type"] = []string{contentType}
						for i := range 3 {
							piece := fmt.Sprintf("piece %d\n", i)
							switch contentType {
							case "text/event-stream":
								piece = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" + piece[:7] + "\"}}]}\n\n"
							case "application/x-ndjson":
								piece = "{\"message\":{\"content\":\"" + piece[:7] + "\"},\"done\":false}\n"
							}
							io.WriteString(w, piece)
							http.NewResponseController(w).Flush()
							select {
							case <-next:
							case <-r.Context().Done():
								return
							}
						}
					})
					ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
					path := chatPath
					if contentType == "application/x-ndjson" {
						path = ollamaChatPath
					}
					resp, err := p.start(t, ctx, port, path, streamed)
					if err != nil {
						t.Fatal(err)
					}
					r := bufio.NewReader(resp.Body)
					for i := range 3 {
						for line := ""; !strings.Contains(line, fmt.Sprintf("piece %d", i)); {
							if line, err = r.ReadString('\n'); err != nil {
								t.Fatalf("port %s, piece %d: %v", port, i, err)
							}
						}
						next <- struct{}{}
					}
					io.Copy(io.Discard, r)
					resp.Body.Close()
					cancel()
				}
			})
		}
	}
}

func TestConformanceClientLeavesBeforeTheAnswer(t *testing.T) {
	for protocol, opts := range clients() {
		t.Run(protocol, func(t *testing.T) {
			p := newPair(t, "http", opts...)
			p.u.Always(scripted.Hang())
			for i, port := range abortPorts() {
				path := chatPath + "?port=" + port
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					if _, err := p.start(t, ctx, port, path, plain); err == nil {
						t.Error("got an answer")
					}
				}()
				p.u.WaitCount(t, i+1)
				cancel()
				<-ended
				p.u.WaitCanceled(t, i+1)
				if got := p.logged(t, path); got != 499 {
					t.Errorf("port %s: status %d is logged, want 499", port, got)
				}
			}
		})
	}
}

func TestConformanceClientLeavesInTheAnswer(t *testing.T) {
	kinds := map[string]scripted.Step{
		"stream": scripted.StallAfter(scripted.ChatEvents("p", "Hello")[:2]...),
		"text": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "Hello")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	}
	for protocol, opts := range clients() {
		for kind, step := range kinds {
			t.Run(protocol+" "+kind, func(t *testing.T) {
				p := newPair(t, "http", opts...)
				p.u.Always(step)
				for i, port := range abortPorts() {
					path := chatPath + "?port=" + port
					ctx, cancel := context.WithCancel(t.Context())
					resp, err := p.start(t, ctx, port, path, streamed)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadAtLeast(resp.Body, make([]byte, 100), 5); err != nil {
						t.Fatal(err)
					}
					cancel()
					resp.Body.Close()
					p.u.WaitCanceled(t, i+1)
					if got := p.logged(t, path); got != http.StatusOK {
						t.Errorf("port %s: status %d is logged, want 200, which the client got", port, got)
					}
				}
			})
		}
	}
}

// A client that leaves in the middle of its request never reaches an upstream
// through the router, which wants the whole request first. Neither logs a
// success.
func TestConformanceClientLeavesInTheRequest(t *testing.T) {
	p := newPair(t, "http")
	ports := abortPorts()
	if ports[0] != routerPort { // which goes first: the proxy's request may reach the upstream late
		slices.Reverse(ports)
	}
	for _, port := range ports {
		path := chatPath + "?port=" + port
		before := p.u.Count()
		ctx, cancel := context.WithCancel(t.Context())
		body, write := io.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url(port, path), body)
			if err != nil {
				t.Error(err)
				return
			}
			r.ContentLength = int64(len(plain))
			if _, err := p.s.Client().Do(r); err == nil {
				t.Error("got an answer to half a request")
			}
		}()
		io.WriteString(write, plain[:10])
		cancel()
		write.CloseWithError(context.Canceled)
		<-ended
		status := p.logged(t, path)
		switch port {
		case reverseProxyPort:
			t.Logf("reverse_proxy logs %d", status)
		case routerPort:
			if status != 499 {
				t.Errorf("status %d is logged, want 499", status)
			}
			if got := p.u.Count() - before; got != 0 {
				t.Errorf("the upstream has had %d requests, want none of a request that was never whole", got)
			}
		}
	}
}

// An answer that the upstream cuts must not pass for a whole one.
func TestConformanceUpstreamCutsTheAnswer(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	kinds := map[string]scripted.Step{
		"of known length": scripted.CutAfter(100_000, scripted.Reply(200, http.Header{"Content-Type": {"text/plain"}, "Content-Length": {fmt.Sprint(len(long))}}, long)),
		"in chunks":       scripted.CutAfter(100_000, scripted.Step(pieces("text/plain", long[:60_000], long))),
		"of long JSON":    scripted.CutAfter(2<<20, scripted.Step(pieces("application/json", `{"x":"`, strings.Repeat("y", 3<<20), `"}`))),
	}
	for _, upstream := range []string{"http", "https"} {
		for protocol, opts := range clients() {
			t.Run(upstream+" upstream, "+protocol+" client", func(t *testing.T) {
				p := newPair(t, upstream, opts...)
				for kind, step := range kinds {
					t.Run(kind, func(t *testing.T) {
						p.u.Always(step)
						for _, port := range abortPorts() {
							path := chatPath + "?" + port + strings.ReplaceAll(kind, " ", "-")
							ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
							resp, err := p.start(t, ctx, port, path, plain)
							if err == nil {
								_, err = io.Copy(io.Discard, resp.Body)
								resp.Body.Close()
							}
							if err == nil {
								t.Errorf("port %s: half an answer passes for a whole one", port)
							}
							if ctx.Err() != nil {
								t.Errorf("port %s: the client was left waiting", port)
							}
							cancel()
							if got := p.logged(t, path); got != http.StatusOK {
								t.Errorf("port %s: status %d is logged, want 200, which the client got", port, got)
							}
						}
					})
				}
			})
		}
	}
}

// A stream may say its length beforehand, but the router may add its end or
// leave out what is broken.
func TestStreamOfKnownLengthMayChange(t *testing.T) {
	events := scripted.ChatEvents("p", "Hello")
	for name, parts := range map[string][]string{
		"no end":         events[:len(events)-1],
		"a broken event": {events[0], events[1], "{broken", events[2], events[3]},
	} {
		t.Run(name, func(t *testing.T) {
			body := "data: " + strings.Join(parts, "\n\ndata: ") + "\n\n"
			u := scripted.New(t).Always(scripted.Reply(200, http.Header{"Content-Type": {"text/event-stream"}, "Content-Length": {fmt.Sprint(len(body))}}, body))
			g := ask(t, routerWith(t, alone(u, "")), chatPath, streamed)
			if g.err != nil {
				t.Errorf("the answer ends in %v", g.err)
			}
			if !strings.HasSuffix(g.body, "data: [DONE]\n\n") || strings.Contains(g.body, "broken") {
				t.Errorf("got %q, want the good events and [DONE]", g.body)
			}
		})
	}
}

// upperCaser takes a connection over and answers what it gets in capitals.
func upperCaser(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Upstream-Path: "+r.RequestURI+"\r\n\r\n")
	buf := make([]byte, 1024)
	for {
		n, err := rw.Read(buf)
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, strings.ToUpper(string(buf[:n]))); err != nil {
			return
		}
	}
}

// upgrade asks one of the two for a WebSocket over HTTP/1.1.
func (p *pair) upgrade(t *testing.T, port, path string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url(port, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	resp, err := p.s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// converse says something over a connection that was taken over, twice.
func converse(t *testing.T, conn io.ReadWriter) {
	t.Helper()
	for _, say := range []string{"hello", "world"} {
		if _, err := io.WriteString(conn, say); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len(say))
		if _, err := io.ReadFull(conn, answer); err != nil {
			t.Fatal(err)
		}
		if got, want := string(answer), strings.ToUpper(say); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestConformanceUpgrade(t *testing.T) {
	for _, kind := range []string{"http", "unix", "https"} {
		t.Run(kind, func(t *testing.T) {
			p := newPair(t, kind)
			p.u.Always(upperCaser)
			var views []view
			for _, port := range bothPorts() {
				path := "/v1/realtime?model=p&port=" + port
				resp := p.upgrade(t, port, path)
				if resp.StatusCode != http.StatusSwitchingProtocols {
					t.Fatalf("port %s: got status %d, want 101", port, resp.StatusCode)
				}
				converse(t, resp.Body.(io.ReadWriter))
				resp.Body.Close()
				p.logged(t, path) // Caddy is not to be stopped while it ends the connection
				v := make(view)
				v.header("header", resp.Header)
				v["header X-Upstream-Path"] = strings.TrimSuffix(v["header X-Upstream-Path"], port)
				views = append(views, v)
			}
			seen := make(map[int]bool)
			compare(t, "client", views[0], views[1], seen)
			all := p.u.WaitIdle(t)
			views = []view{{}, {}}
			for i, r := range all {
				views[i]["host"], views[i]["path"] = r.Host, r.Path
				views[i].header("header", r.Header)
			}
			for _, v := range views { // which the client's address is in
				v["host"] = strings.Replace(v["host"], "localhost:"+reverseProxyPort, "api.example.com", 1)
			}
			compare(t, "upstream", views[0], views[1], seen)
		})
	}
}

// Caddy's transports find where to dial by a key in the context that is no
// promise of Caddy's: without it, or under another name, no unix socket could
// be reached, since its path is in no URL.
func TestDialInfoReachesTheTransport(t *testing.T) {
	u := scripted.New(t, scripted.WithUnixSocket())
	s := routerWith(t, "pool p {\n\tdeployment d "+u.Addr+"\n}")
	ask(t, s, chatPath, plain).served(t, "ok", "d", 1, 0)
	if got := u.Last(t).Host; got != "localhost" {
		t.Errorf("got Host %q, want localhost", got)
	}
}
