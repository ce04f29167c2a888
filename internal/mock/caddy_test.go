package mock_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	_ "github.com/llmrouter/caddy-llm-router/internal/mock"
)

func post(t *testing.T, s *caddyharness.Server, path, body string) *http.Response {
	t.Helper()
	resp, err := s.Client().Post(s.URL(path), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestUnderReverseProxy(t *testing.T) {
	caddyharness.NoLeaks(t)
	s := caddyharness.Load(t, `
		:8080 {
			reverse_proxy mock:80 {
				transport llm_mock {
					response "Hi there"
				}
			}
		}
	`)
	resp := post(t, s, "/v1/chat/completions", `{"model":"m1"}`)
	body, err := io.ReadAll(resp.Body)
	if got := gjson.GetBytes(body, "choices.0.message.content").Str; err != nil || resp.StatusCode != 200 || got != "Hi there" {
		t.Errorf("got status %d, content %q, %v in %s", resp.StatusCode, got, err, body)
	}
	resp = post(t, s, "/v1/chat/completions", `{"model":"m1","stream":true}`)
	body, err = io.ReadAll(resp.Body)
	if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("got %s, %v", body, err)
	}
}

func TestStreamIsFlushedEventByEventAndEndsWithTheClient(t *testing.T) {
	caddyharness.NoLeaks(t)
	s := caddyharness.Load(t, `
		:8080 {
			reverse_proxy mock:80 {
				transport llm_mock {
					response "a b"
					interval 1h
				}
			}
		}
	`)
	resp := post(t, s, "/v1/chat/completions", `{"model":"m1","stream":true}`)
	events := bufio.NewReader(resp.Body)
	for _, want := range []string{`"role":"assistant"`, "", `"content":"a"`, ""} {
		if line, err := events.ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Fatalf("got %q, %v; want %s", line, err, want)
		}
	}
	resp.Body.Close() // NoLeaks sees to the rest
}

func TestHealthChecksGoThroughTheMock(t *testing.T) {
	const config = `
		:8080 {
			reverse_proxy mock:80 {
				health_uri URI
				health_interval 10ms
				transport llm_mock {
					error 529 overloaded
					fail_first 1
				}
			}
		}
	`
	s := caddyharness.Load(t, strings.Replace(config, "URI", "/v1/files", 1))
	s.WaitForLog(t, func(e caddyharness.Entry) bool { return e.Msg == "status code out of tolerances" })
	if got := post(t, s, "/v1/chat/completions", `{"model":"m1"}`).StatusCode; got != 503 {
		t.Errorf("got status %d with an unhealthy upstream, want 503", got)
	}

	// Healthy checks do not use up what fail_first counts.
	s.Reload(t, strings.Replace(config, "URI", "/v1/models", 1))
	time.Sleep(100 * time.Millisecond) // several checks
	for i, want := range []int{529, 200} {
		if got := post(t, s, "/v1/chat/completions", `{"model":"m1"}`).StatusCode; got != want {
			t.Errorf("request %d: got status %d, want %d", i, got, want)
		}
	}
}

func TestConnectionFailureIsABadGateway(t *testing.T) {
	s := caddyharness.Load(t, `
		:8080 {
			reverse_proxy mock:80 {
				transport llm_mock {
					error 502 connection
				}
			}
		}
	`)
	if got := post(t, s, "/v1/chat/completions", `{"model":"m1"}`).StatusCode; got != 502 {
		t.Errorf("got status %d, want 502", got)
	}
}

func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, ok := strings.Cut(string(raw), "----------\n")
			if !ok {
				t.Fatal("there is no line of ten dashes")
			}
			if got := string(caddyfile.Format([]byte(in))); got != in {
				t.Errorf("the Caddyfile is not formatted; got %s, want %s", in, got)
			}
			want = strings.TrimSpace(want)
			adapted, err := caddyharness.Adapt(in)
			if strings.HasPrefix(want, "{") {
				if got := gjson.GetBytes(adapted, "@pretty").Raw; err != nil || strings.TrimSpace(got) != want {
					t.Errorf("got %s, %v; want %s", got, err, want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want one that says %q", err, want)
			}
		})
	}
}
