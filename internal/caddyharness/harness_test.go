package caddyharness

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

const hello = `
	:8080 {
		log
		respond "hello {http.request.host}"
	}
`

func TestLoadServesACaddyfile(t *testing.T) {
	NoLeaks(t)
	s := Load(t, hello)
	if _, body := get(t, s.Client(), "http://example.com:8080/"); body != "hello example.com" {
		t.Errorf("got %q, want %q", body, "hello example.com")
	}
	if _, body := get(t, s.Client(), s.URL("/")); body != "hello localhost" {
		t.Errorf("got %q, want %q", body, "hello localhost")
	}
	if !strings.HasPrefix(s.Addr(), "unix/") {
		t.Errorf("got address %q, want a unix socket", s.Addr())
	}
	conn, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestLoadServesJSON(t *testing.T) {
	NoLeaks(t)
	s := Load(t, `{"apps":{"http":{"servers":{"a":{"listen":[":80"],"routes":[
		{"handle":[{"handler":"static_response","body":"json"}]}]}}}}}`)
	if _, body := get(t, s.Client(), s.URL("/")); body != "json" {
		t.Errorf("got %q, want %q", body, "json")
	}
}

func TestCaddyfileWithGlobalOptionsIsNoJSON(t *testing.T) {
	s := Load(t, `
		{
			debug
		}
		:80 {
			respond ok
		}
	`)
	if _, body := get(t, s.Client(), s.URL("/")); body != "ok" {
		t.Errorf("got %q, want %q", body, "ok")
	}
}

func TestClientFindsServersByPort(t *testing.T) {
	s := Load(t, `
		:8080 {
			respond a
		}
		:8081 {
			respond b
		}
		example.com {
			respond c
		}
	`)
	for url, want := range map[string]string{
		"http://x:8080/": "a", "http://x:8081/": "b", "http://example.com:443/": "c",
	} {
		if _, body := get(t, s.Client(), url); body != want {
			t.Errorf("%s: got %q, want %q", url, body, want)
		}
	}
}

func TestReload(t *testing.T) {
	NoLeaks(t)
	s := Load(t, hello)
	get(t, s.Client(), s.URL("/"))
	if err := s.TryReload(`{"apps":{"no_such_app":{}}}`); err == nil {
		t.Error("got no error for an unknown app")
	}
	if _, body := get(t, s.Client(), s.URL("/")); body != "hello localhost" {
		t.Errorf("after a failed reload: got %q, want the old answer", body)
	}
	s.Reload(t, ":8080 {\n\trespond second\n}\n")
	if _, body := get(t, s.Client(), s.URL("/")); body != "second" {
		t.Errorf("after a reload: got %q, want %q", body, "second")
	}
}

func TestReloadDoesNotCutAStream(t *testing.T) {
	u := scripted.New(t).Always(scripted.Stream(50*time.Millisecond, "a", "b", "c"))
	config := ":80 {\n\treverse_proxy " + u.Addr + "\n}\n"
	s := Load(t, config)
	resp, err := s.Client().Get(s.URL("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if line, err := body.ReadString('\n'); line != "data: a\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	s.Reload(t, config+"# changed\n")
	rest, err := io.ReadAll(body)
	if want := "\ndata: b\n\ndata: c\n\n"; err != nil || string(rest) != want {
		t.Errorf("got %q, %v; want %q", rest, err, want)
	}
}

func TestLogsAreKept(t *testing.T) {
	s := Load(t, hello)
	get(t, s.Client(), s.URL("/one"))
	get(t, s.Client(), s.URL("/two"))
	for n, want := range []string{"/one", "/two"} {
		e := s.AccessLog(t, n)
		request, _ := e.Fields["request"].(map[string]any)
		if request["uri"] != want || e.Msg != "handled request" || e.Level != "info" {
			t.Errorf("access log line %d: got %s, want one for %s", n, e.Raw, want)
		}
	}
	var debug bool
	for _, e := range s.Logs() {
		debug = debug || e.Level == "debug"
	}
	if !debug {
		t.Error("got no line of level debug")
	}
}

func TestTCPAndTLS(t *testing.T) {
	t.Run("TCP", func(t *testing.T) {
		s := Load(t, hello, WithTCP())
		if resp, _ := get(t, s.Client(), s.URL("/")); resp.Proto != "HTTP/1.1" || !strings.HasPrefix(s.Addr(), "127.0.0.1:") {
			t.Errorf("got %s at %s, want HTTP/1.1 at 127.0.0.1", resp.Proto, s.Addr())
		}
	})
	t.Run("TLS", func(t *testing.T) {
		NoLeaks(t)
		s := Load(t, hello, WithTLS())
		if resp, body := get(t, s.Client(), s.URL("/")); resp.Proto != "HTTP/2.0" || body != "hello localhost" {
			t.Errorf("got %q over %s, want HTTP/2.0", body, resp.Proto)
		}
	})
}

func TestAdminAPI(t *testing.T) {
	NoLeaks(t)
	s := Load(t, hello, WithAdmin())
	resp, body := get(t, s.AdminClient(t), "http://localhost/config/apps/http/grace_period")
	if resp.StatusCode != 200 || strings.TrimSpace(body) != `"5s"` {
		t.Errorf("got %d %q, want 200 and the grace period", resp.StatusCode, body)
	}
}

func TestNothingIsLeftAtHome(t *testing.T) {
	var dir string
	t.Run("load", func(t *testing.T) {
		s := Load(t, hello)
		dir = s.dir
		if got := os.Getenv("XDG_DATA_HOME"); got != dir {
			t.Errorf("got XDG_DATA_HOME %q, want %q", got, dir)
		}
	})
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("got %v for %s, want that it is gone", err, dir)
	}
}

func TestLeaksAreFound(t *testing.T) {
	before := goroutines()
	stop := make(chan struct{})
	go leakyFunction(stop)
	got := leaked(before, 50*time.Millisecond)
	if len(got) != 1 || !strings.Contains(got[0], "leakyFunction") {
		t.Errorf("got %q, want the stack of leakyFunction", got)
	}
	close(stop)
	if got := leaked(before, leakTimeout); len(got) != 0 {
		t.Errorf("got %q after it has ended, want none", got)
	}
}

func leakyFunction(stop <-chan struct{}) { <-stop }
