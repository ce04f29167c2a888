package wholepath

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/freeport"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// The parts that the whole-path tests have in common: a Caddy around a router's
// pools, a client's request, and what the client got.

const (
	chatPath        = "/v1/chat/completions"
	completionsPath = "/v1/completions"
	responsesPath   = "/v1/responses"
	messagesPath    = "/v1/messages"
	ollamaChatPath  = "/api/chat"
)

// askTimeout is how long a request of a test may take: nothing here may hang.
const askTimeout = 20 * time.Second

// routerWith runs a Caddy whose only handler is a router of these pools.
func routerWith(t testing.TB, pools string, opts ...caddyharness.Option) *caddyharness.Server {
	t.Helper()
	return caddyharness.Load(t, ":8080 {\n\tlog\n\tllm_router {\n"+pools+"\n\t}\n}\n", opts...)
}

// twoInOrder is a pool p of deployment a and, behind it, deployment b.
func twoInOrder(a, b *scripted.Upstream, policy string) string {
	return fmt.Sprintf("%s\npool p {\n\tdeployment a %s\n\tdeployment b %s {\n\t\torder 2\n\t}\n}\n", policy, a.URL, b.URL)
}

// alone is a pool p of deployment a.
func alone(a *scripted.Upstream, policy string) string {
	return fmt.Sprintf("%s\npool p {\n\tdeployment a %s\n}\n", policy, a.URL)
}

// withFallback is a pool p of deployment a, which falls back to pool q of
// deployment b.
func withFallback(a, b *scripted.Upstream, policy string) string {
	return fmt.Sprintf("%s\npool p {\n\tdeployment a %s\n\tfallback q\n}\npool q {\n\tdeployment b %s\n}\n", policy, a.URL, b.URL)
}

// got is what a client got of one request.
type got struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
	err     error // of reading the body
	took    time.Duration
}

// plain and streamed are request bodies for pool p.
const (
	plain    = `{"model":"p","messages":[{"role":"user","content":"Hi"}]}`
	streamed = `{"model":"p","stream":true,"messages":[{"role":"user","content":"Hi"}]}`
)

// ask sends a request and reads the whole answer. header is names and values by
// turns.
func ask(t testing.TB, s *caddyharness.Server, path, body string, header ...string) got {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	defer cancel()
	g, err := tryAsk(ctx, s, path, body, header...)
	if err != nil {
		t.Fatalf("POST %s: %v", path, err)
	}
	return g
}

// tryAsk is ask for a request that may get no answer, and for other goroutines
// than the test's.
func tryAsk(ctx context.Context, s *caddyharness.Server, path, body string, header ...string) (got, error) {
	start := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(path), strings.NewReader(body))
	if err != nil {
		return got{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		return got{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, resp.Header, string(text), resp.Trailer, err, time.Since(start)}, nil
}

// inBackground sends a request whose answer nobody waits for; leave ends it, and
// so does the end of the test.
func inBackground(t testing.TB, s *caddyharness.Server, path, body string) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = tryAsk(ctx, s, path, body)
	}()
	leave = func() { cancel(); <-ended }
	t.Cleanup(leave)
	return leave
}

// beginStream asks for a stream of pool p and reads it up to a text. leave ends it, and
// so does the end of the test; rest gives what comes after the text.
func beginStream(t testing.TB, s *caddyharness.Server, text string) (leave func(), rest func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(chatPath), strings.NewReader(streamed))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	body := bufio.NewReader(resp.Body)
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			t.Fatalf("got no %q in the stream: %v", text, err)
		}
		if strings.Contains(line, text) {
			return cancel, func() string { left, _ := io.ReadAll(body); return string(left) }
		}
	}
}

// served checks a good answer: its text, who gave it, and after how many
// attempts and fallbacks.
func (g got) served(t testing.TB, text, deployment string, attempts, fallbacks int) {
	t.Helper()
	if g.status != http.StatusOK || !strings.Contains(g.body, text) || g.err != nil {
		t.Errorf("got status %d, body %q, error %v; want 200 with %q", g.status, g.body, g.err, text)
	}
	g.by(t, deployment, attempts, fallbacks)
}

// by checks the headers that say how an answer came about.
func (g got) by(t testing.TB, deployment string, attempts, fallbacks int) {
	t.Helper()
	for name, want := range map[string]string{
		"X-LLM-Deployment": deployment,
		"X-LLM-Attempts":   fmt.Sprint(attempts),
		"X-LLM-Fallbacks":  fmt.Sprint(fallbacks),
	} {
		if value := g.header.Get(name); value != want {
			t.Errorf("%s: got %q, want %q", name, value, want)
		}
	}
}

// counts checks how many requests an upstream has had.
func counts(t testing.TB, name string, u *scripted.Upstream, want int) {
	t.Helper()
	if n := u.Count(); n != want {
		t.Errorf("deployment %s has had %d requests, want %d", name, n, want)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, within time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", within, what)
		}
	}
}

// refusing is an address that refuses connections.
func refusing(t testing.TB) string {
	t.Helper()
	addr, err := freeport.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + addr
}

// lines are the log lines of one message.
func lines(s *caddyharness.Server, msg string) []caddyharness.Entry {
	var out []caddyharness.Entry
	for _, e := range s.Logs() {
		if e.Msg == msg {
			out = append(out, e)
		}
	}
	return out
}

// cooled is the log line of the last cooldown.
func cooled(t testing.TB, s *caddyharness.Server) (e caddyharness.Entry, length time.Duration) {
	t.Helper()
	all := lines(s, "attempt failed, deployment cools down")
	if len(all) == 0 {
		t.Fatal("no deployment has cooled")
	}
	e = all[len(all)-1]
	seconds, _ := e.Fields["cooldown"].(float64)
	return e, time.Duration(seconds * float64(time.Second))
}
