package wholepath

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

const realtimePath = "/v1/realtime?model=p"

// realtime is a Caddy around a router's pools for WebSockets.
func realtime(t *testing.T, u *scripted.Upstream, pools string) *pair {
	t.Helper()
	return &pair{s: routerWith(t, pools), u: u, scheme: "http"}
}

// converses asks for a WebSocket, uses it, and leaves it open.
func (p *pair) converses(t *testing.T, deployment string, attempts int) (hangUp func()) {
	t.Helper()
	resp := p.upgrade(t, "8080", realtimePath)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d, want 101", resp.StatusCode)
	}
	got{header: resp.Header}.by(t, deployment, attempts, 0)
	converse(t, resp.Body.(io.ReadWriter))
	return func() {
		resp.Body.Close()
		p.s.WaitForLog(t, func(e caddyharness.Entry) bool { // Caddy is not to be stopped while it ends the connection
			return strings.HasPrefix(e.Logger, "http.log.access") && e.Fields["status"] == 101.0
		})
	}
}

// refused is an upgrade that gets an ordinary answer.
func (p *pair) refused(t *testing.T) got {
	t.Helper()
	resp := p.upgrade(t, "8080", realtimePath)
	body, err := io.ReadAll(resp.Body)
	return got{status: resp.StatusCode, header: resp.Header, body: string(body), err: err}
}

// failed is the class of the last failed request, and of its last attempt.
func failed(t *testing.T, s *caddyharness.Server) (request, attempt string) {
	t.Helper()
	e := s.WaitForLog(t, func(e caddyharness.Entry) bool { return e.Msg == "request failed" })
	request, _ = e.Fields["error_class"].(string)
	for _, e := range s.Logs() {
		if strings.HasPrefix(e.Msg, "attempt failed") {
			attempt, _ = e.Fields["error_class"].(string)
		}
	}
	return request, attempt
}

// An Upgrade header is an offer that a server may ignore. Were it enough, any
// request could go round what the router does with its body.
func TestOnlyWebSocketsAreUpgrades(t *testing.T) {
	u := scripted.New(t)
	s := caddyharness.Load(t, ":8080 {\n\tlog\n\troute {\n\t\tllm_router {\n\t\t\tmax_body 1KB\n"+
		deployment(u.URL, "model own\napi_key sk-own")+"\t\t}\n\t\trespond next 418\n\t}\n}\n")
	long := `{"model":"p","x":"` + strings.Repeat("y", 2000) + `"}`
	tests := []struct {
		name, method, path, body, upgrade string
		status, requests                  int
	}{
		{"a POST with a body that is too large", "POST", chatPath + "?model=p", long, "foo", 413, 0},
		{"a POST that asks for a WebSocket", "POST", chatPath + "?model=p", long, "websocket", 413, 0},
		{"a POST of an unknown model", "POST", chatPath, `{"model":"nope"}`, "foo", 404, 0},
		{"a POST that offers h2c", "POST", chatPath, plain, "h2c", 200, 1},
		{"a DELETE", "DELETE", "/v1/files/abc?model=p", "", "websocket", 418, 0},
		{"a GET of another protocol", "GET", realtimePath, "", "foo", 418, 0},
		{"a GET of a similar protocol", "GET", realtimePath, "", "websocket2", 418, 0},
		{"a GET with a body", "GET", realtimePath, plain, "websocket", 418, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := u.Count()
			g := send(t, s, tt.method, tt.path, "application/json", strings.NewReader(tt.body), "Connection", "Upgrade, HTTP2-Settings", "Upgrade", tt.upgrade, "HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
			if g.status != tt.status {
				t.Errorf("got status %d %s, want %d", g.status, g.body, tt.status)
			}
			if got := u.Count() - before; got != tt.requests {
				t.Fatalf("the upstream has had %d requests, want %d", got, tt.requests)
			}
			if tt.requests == 0 {
				return
			}
			r := u.Last(t)
			if !strings.Contains(string(r.Body), `"own"`) || r.Header.Get("Upgrade")+r.Header.Get("Http2-Settings") != "" {
				t.Errorf("the upstream got %v, %s; want an ordinary request for its own model", r.Header, r.Body)
			}
		})
	}
	u.Always(upperCaser)
	for i, upgrade := range []string{"websocket", "WebSocket", "h2c, websocket"} {
		t.Run("a WebSocket in the words "+upgrade, func(t *testing.T) {
			conn, err := s.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			path := fmt.Sprintf("%s&try=%d", realtimePath, i)
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, upgrade\r\nUpgrade: %s\r\n\r\n", path, upgrade)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.Last(t).Header["Upgrade"]; resp.StatusCode != 101 || len(got) != 1 || got[0] != "websocket" {
				t.Errorf("got status %d, and the upstream was asked for %q; want 101 and websocket alone", resp.StatusCode, got)
			}
			converse(t, conn)
			conn.Close()
			(&pair{s: s}).logged(t, path) // Caddy is not to be stopped while it ends the connection
		})
	}
}

func TestUpgradeShowsNoSecretInTheLog(t *testing.T) {
	for name, tt := range map[string]struct{ block, header, sent string }{
		"the key's own header": {"api_key sk-secret Api-Key", "Api-Key", "sk-secret"},
		"Authorization":        {"api_key sk-secret\nheader_up Authorization \"Bearer \" \"Token \"\nheader_up X-A b", "Authorization", "Token sk-secret"},
		"a header of the user": {"api_key sk-secret\nheader_up Authorization mine", "Authorization", "mine"},
		"a key taken off":      {"api_key sk-secret\nheader_up -Authorization", "Authorization", ""},
		"health checks":        {"api_key sk-secret Api-Key\nhealth_uri /health\nhealth_interval 1h", "Api-Key", "sk-secret"},
	} {
		t.Run(name, func(t *testing.T) {
			u := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
				if r.RequestURI = ""; r.Header.Get("Upgrade") != "" { // it would tell the URI
					upperCaser(w, r)
				}
			})
			p := realtime(t, u, deployment(u.URL+"/v1?key=sk-query", tt.block))
			p.converses(t, "d", 1)()
			var r scripted.Request
			for _, r = range u.Requests() {
				if r.Header.Get("Upgrade") != "" {
					break
				}
			}
			if got := r.Header.Get(tt.header); got != tt.sent || r.Query.Get("key") != "sk-query" {
				t.Errorf("the upstream got %s %q, query %v; want %q and the key", tt.header, got, r.Query, tt.sent)
			}
			seen := false
			for _, e := range p.s.Logs() {
				seen = seen || e.Msg == "upstream roundtrip"
				if strings.Contains(e.Raw, "sk-secret") || strings.Contains(e.Raw, "sk-query") {
					t.Errorf("the log shows a secret: %s", e.Raw)
				}
			}
			if !seen {
				t.Error("reverse_proxy has not logged the round trip")
			}
		})
	}
}

// What docs/upstreams.md says of headers.
func TestUpgradeTellsNothingOfTheClient(t *testing.T) {
	u := scripted.New(t).Always(upperCaser)
	p := realtime(t, u, deployment(u.URL, ""))
	const client = "192.0.2.7"
	header := []string{"Accept-Encoding", "br", "Cookie", "a=1"}
	told := []string{"Via", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Forwarded-For", "X-Forwarded-Port", "X-LLM-Tag", "TE"}
	for _, name := range told {
		header = append(header, name, client)
	}
	resp := p.upgrade(t, "8080", realtimePath, header...)
	converse(t, resp.Body.(io.ReadWriter))
	resp.Body.Close()
	p.logged(t, realtimePath)
	r := u.Last(t)
	for _, name := range append(told, "X-Forwarded-Proto", "X-Forwarded-Host") {
		if got := r.Header.Values(name); len(got) > 0 {
			t.Errorf("%s: the upstream got %q, want none", name, got)
		}
	}
	for name, want := range map[string]string{"Accept-Encoding": "br", "Cookie": "a=1", "Connection": "Upgrade", "Upgrade": "websocket"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: the upstream got %q, want %q", name, got, want)
		}
	}
}

func TestUpgradeTimesOut(t *testing.T) {
	t.Run("and another deployment is tried", func(t *testing.T) {
		a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t).Always(upperCaser)
		p := realtime(t, b, twoInOrder(a, b, "timeout 300ms"))
		hangUp := p.converses(t, "b", 2)
		if e := lines(p.s, "attempt failed"); len(e) != 1 || e[0].Fields["error_class"] != "timeout" {
			t.Errorf("got %v, want a timeout", e)
		}
		hangUp()
	})
	t.Run("and nothing else is there", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Hang())
		p := realtime(t, a, alone(a, "timeout 200ms\nretries 0"))
		g := p.refused(t)
		if g.status != http.StatusGatewayTimeout || !strings.Contains(g.body, "upstream_timeout") {
			t.Errorf("got %d %s, want 504 upstream_timeout", g.status, g.body)
		}
	})
	t.Run("in the middle of a refusal", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.HeadersThenHang(503, nil))
		p := realtime(t, a, alone(a, "timeout 300ms\nretries 0"))
		if g := p.refused(t); g.status != 503 || g.err == nil {
			t.Errorf("got status %d, error %v; want 503, cut", g.status, g.err)
		}
	})
	t.Run("but not once it is there", func(t *testing.T) {
		a := scripted.New(t).Always(upperCaser)
		p := realtime(t, a, alone(a, "timeout 200ms\nidle_timeout 100ms\ndeadline 400ms"))
		resp := p.upgrade(t, "8080", realtimePath)
		time.Sleep(600 * time.Millisecond)
		converse(t, resp.Body.(io.ReadWriter))
		resp.Body.Close()
		p.logged(t, realtimePath)
	})
}

func TestUpgradeWhoseClientLeaves(t *testing.T) {
	u := scripted.New(t).Always(scripted.Hang())
	s := caddyharness.Load(t, ":8080 {\n\tlog\n\troute {\n\t\tlog_append class {http.llm_router.error_class}\n\t\tllm_router {\n"+alone(u, "cooldown 1m {\n\tallowed_fails 0\n}")+"\n\t\t}\n\t}\n}\n")
	p := &pair{s: s, u: u, scheme: "http"}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := p.s.Dial(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", realtimePath)
		<-ctx.Done()
		conn.Close()
	}()
	u.WaitCount(t, 1)
	cancel()
	<-ended
	u.WaitCanceled(t, 1)
	if got := p.logged(t, realtimePath); got != 499 {
		t.Errorf("status %d is logged, want 499", got)
	}
	if got := s.AccessLog(t, 0).Fields["class"]; got != "canceled" {
		t.Errorf("got class %q, want canceled", got)
	}
	for _, msg := range []string{"request failed", "attempt failed", "attempt failed, deployment cools down"} {
		if e := lines(p.s, msg); len(e) > 0 {
			t.Errorf("got %v, want nobody blamed", e)
		}
	}
}

// An upstream that answers has the last word, but the router knows what it means.
func TestUpgradeThatIsRefused(t *testing.T) {
	tests := []struct {
		name, block, class string
		status             int
		header             http.Header
		cools              bool
	}{
		{"server error", "", "server_error", 500, nil, true},
		{"rate limit", "", "rate_limit", 429, http.Header{"Retry-After": {"20"}}, true},
		{"the router's own key", "api_key sk-own", "auth", 401, nil, true},
		{"the client's key", "", "client_auth", 401, nil, false},
		{"bad request", "", "bad_request", 400, nil, false},
		{"an unknown path", "", "not_found", 404, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := scripted.New(t).Always(scripted.Reply(tt.status, tt.header, "its words"))
			b := scripted.New(t).Always(upperCaser)
			p := realtime(t, b, fmt.Sprintf("cooldown 1m {\n\tallowed_fails 0\n}\npool p {\n\tdeployment a %s {\n%s\n\t}\n\tdeployment b %s {\n\t\torder 2\n\t}\n}\n", a.URL, tt.block, b.URL))
			g := p.refused(t)
			if g.status != tt.status || g.body != "its words" || g.err != nil {
				t.Errorf("got %d %q %v, want the upstream's %d", g.status, g.body, g.err, tt.status)
			}
			g.by(t, "a", 1, 0)
			if request, attempt := failed(t, p.s); request != tt.class || attempt != tt.class {
				t.Errorf("got classes %s and %s, want %s", request, attempt, tt.class)
			}
			counts(t, "b", b, 0)
			e := lines(p.s, "attempt failed, deployment cools down")
			if got := len(e) == 1; got != tt.cools {
				t.Fatalf("got cooldowns %v, want one %t", e, tt.cools)
			}
			if tt.header != nil {
				if _, length := cooled(t, p.s); length < 19*time.Second || length > 21*time.Second {
					t.Errorf("got a cooldown of %v, want the stated 20s", length)
				}
			}
			if tt.cools {
				p.converses(t, "b", 1)()
			}
		})
	}
	t.Run("in half an answer", func(t *testing.T) {
		a, b := scripted.New(t), scripted.New(t)
		a.Always(scripted.CutAfter(10, scripted.Reply(500, http.Header{"Content-Length": {"100"}}, strings.Repeat("x", 100))))
		p := realtime(t, a, twoInOrder(a, b, "cooldown 1m {\n\tallowed_fails 0\n}"))
		if g := p.refused(t); g.status != 500 || g.err == nil {
			t.Errorf("got status %d, error %v; want 500, cut", g.status, g.err)
		}
		if request, attempt := failed(t, p.s); request != "server_error" || attempt != "server_error" {
			t.Errorf("got classes %s and %s, want server_error", request, attempt)
		}
		if e, _ := cooled(t, p.s); e.Fields["deployment"] != "a" {
			t.Errorf("got %v, want a to cool", e)
		}
	})
	t.Run("by an ordinary answer", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Reply(200, nil, "no WebSockets here"))
		p := realtime(t, a, alone(a, ""))
		p.refused(t).served(t, "no WebSockets", "a", 1, 0)
		if e := lines(p.s, "request failed"); len(e) > 0 {
			t.Errorf("got %v, want no failure", e)
		}
	})
	t.Run("by another protocol", func(t *testing.T) {
		a := scripted.New(t).Always(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n")
		})
		b := scripted.New(t).Always(upperCaser)
		p := realtime(t, b, twoInOrder(a, b, ""))
		p.converses(t, "b", 2)()
	})
}

// A deployment on probation is back as soon as it has agreed to an upgrade, not
// only when the connection is over.
func TestUpgradeEndsProbation(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Reply(500, nil, "")), scripted.New(t)
	p := realtime(t, a, twoInOrder(a, b, "cooldown 200ms {\n\tallowed_fails 0\n}"))
	ask(t, p.s, chatPath, plain).by(t, "b", 2, 0)
	_, length := cooled(t, p.s)
	time.Sleep(length + 100*time.Millisecond)
	a.Always(upperCaser)
	resp := p.upgrade(t, "8080", realtimePath)
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d, want 101", resp.StatusCode)
	}
	converse(t, resp.Body.(io.ReadWriter))
	a.Always(scripted.Step(jsonAnswer(200)))
	for range 2 {
		ask(t, p.s, chatPath, plain).by(t, "a", 1, 0)
	}
	resp.Body.Close()
	p.s.WaitForLog(t, func(e caddyharness.Entry) bool { return e.Msg == "deployment recovered" })
}

// The router's own error is no deployment's, and nothing of one is in it.
func TestUpgradeFailureKeepsNoHeaders(t *testing.T) {
	at := strings.TrimPrefix(refusing(t), "http://127.0.0.1:")
	p := realtime(t, nil, "retries 0\npool p {\n\tdeployment a {\n\t\tdynamic a 127.0.0.1 "+at+"\n\t\tlb_policy cookie lb\n\t}\n\tdeployment b "+refusing(t)+" {\n\t\torder 2\n\t}\n}\n")
	g := p.refused(t)
	if g.status != http.StatusBadGateway || !strings.Contains(g.body, "upstream_unreachable") {
		t.Errorf("got %d %s, want 502 upstream_unreachable", g.status, g.body)
	}
	g.by(t, "", 2, 0)
	if got := g.header.Values("Set-Cookie"); len(got) > 0 {
		t.Errorf("got the cookie %q of a deployment that failed", got)
	}
}

// A client that has said all still hears what the upstream has to say.
func TestUpgradesMayEndInOneDirection(t *testing.T) {
	for name, transport := range map[string]string{"plain": "", "with time limits": "transport http {\nwrite_timeout 5s\n}"} {
		t.Run(name, func(t *testing.T) {
			u := scripted.New(t).Always(func(w http.ResponseWriter, _ *http.Request) {
				conn, rw, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n") //nolint:errcheck // the client sees what is missing
				said, _ := io.ReadAll(rw)
				fmt.Fprintf(conn, "all of %q", said)
			})
			s := routerWith(t, deployment(u.URL, transport))
			conn, err := s.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(askTimeout)) //nolint:errcheck // the test would hang otherwise, and be noticed
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", realtimePath)
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatalf("got status %d, want 101", resp.StatusCode)
			}
			io.WriteString(conn, "this")      //nolint:errcheck // the answer shows it
			conn.(*net.UnixConn).CloseWrite() //nolint:errcheck // the answer shows it
			if got, err := io.ReadAll(r); string(got) != `all of "this"` || err != nil {
				t.Errorf("got %q and %v, want the whole answer", got, err)
			}
			(&pair{s: s}).logged(t, realtimePath) // Caddy is not to be stopped while it ends the connection
		})
	}
}
