package cli_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// router has a pool that serves, one that falls back, one that fails and one
// that asks for a key.
const router = `
	:8080 {
		handle_path /keyed/* {
			@wrong not header Authorization "Bearer right"
			respond @wrong 401
			reverse_proxy {http.request.local.host}:{http.request.local.port}
		}
		llm_router {
			retries 0
			pool good {
				deployment a {
					transport llm_mock
				}
			}
			pool late {
				deployment a {
					transport llm_mock {
						fail_first 2
						error 503 overloaded
					}
				}
				cooldown off
				fallback good
			}
			pool bad {
				deployment a {
					transport llm_mock {
						error 500 server_error "no GPU left"
					}
				}
				cooldown off
			}
		}
	}
`

func TestWatch(t *testing.T) {
	caddyharness.NoLeaks(t)
	s := caddyharness.Load(t, router, caddyharness.WithTCP())
	address := s.Addr()
	t.Setenv("RIGHT_KEY", "right")
	t.Setenv("WRONG_KEY", "wrong")
	watch := func(t *testing.T, args ...string) output {
		return run(t.Context(), t, append([]string{"watch", "--interval", "5ms", "--count", "4"}, args...)...)
	}

	t.Run("a model that serves", func(t *testing.T) {
		got := watch(t, address, "good")
		if got.failure != nil || got.err != "" {
			t.Errorf("got %v, %s; want no error", got.failure, got.err)
		}
		lines := strings.Split(got.out, "\n")
		if len(lines) < 6 || !strings.HasPrefix(lines[0], "TIME") || strings.Contains(got.out, "\x1b") {
			t.Fatalf("got:\n%s\nwant a head, 4 lines and a summary without colors", got.out)
		}
		if fields := strings.Fields(lines[1]); strings.Join(fields[1:7], " ") != "200 good good a 1 0" {
			t.Errorf("got line %q", lines[1])
		}
		if !strings.Contains(got.out, "4 of 4 succeeded, 0 failed.\n  good  good/a  4 requests\n0 failovers, 0 recoveries.") {
			t.Errorf("got:\n%s\nwant a summary", got.out)
		}
	})

	t.Run("a model that fails over and comes back", func(t *testing.T) {
		lines := watch(t, address, "late", "--json").lines(t)
		if len(lines) != 5 {
			t.Fatalf("got %d lines, want 4 and a summary", len(lines))
		}
		want := []line{
			{Type: "request", Pool: "good", Attempts: 2, Fallbacks: 1, Change: "failover"},
			{Type: "request", Pool: "good", Attempts: 2, Fallbacks: 1},
			{Type: "request", Pool: "late", Attempts: 1, Change: "recovery"},
			{Type: "request", Pool: "late", Attempts: 1},
		}
		for i, w := range want {
			l := lines[i]
			if !l.OK || l.Request != i+1 || l.Type != w.Type || l.Pool != w.Pool || l.Model != w.Pool ||
				l.Attempts != w.Attempts || l.Fallbacks != w.Fallbacks || l.Change != w.Change || l.LatencyMS <= 0 {
				t.Errorf("request %d: got %+v, want %+v", i+1, l, w)
			}
		}
		sum := lines[4]
		if sum.Type != "summary" || sum.Requests != 4 || sum.Succeeded != 4 || sum.Failovers != 1 || sum.Recoveries != 1 || len(sum.Served) != 2 {
			t.Errorf("got summary %+v", sum)
		}
	})

	t.Run("streams", func(t *testing.T) {
		lines := watch(t, address, "good", "--json", "--stream").lines(t)
		for _, l := range lines[:4] {
			if !l.OK || l.Model != "good" || l.FirstToken <= 0 || l.FirstToken > l.LatencyMS {
				t.Errorf("got %+v, want a first token before the end", l)
			}
		}
		if text := watch(t, address, "good", "--stream"); !strings.Contains(text.out, "FIRST TOKEN") ||
			!strings.Contains(text.out, "longest time to first token") {
			t.Errorf("got:\n%s\nwant times to the first token", text.out)
		}
	})

	t.Run("a model that fails", func(t *testing.T) {
		got := watch(t, address, "bad")
		if got.failure == nil || got.err != "" {
			t.Errorf("got %v, %q on stderr; want an exit code and nothing more", got.failure, got.err)
		}
		if strings.Count(got.out, "FAILED: no GPU left") != 4 || !strings.Contains(got.out, "0 of 4 succeeded, 4 failed.") {
			t.Errorf("got:\n%s", got.out)
		}
	})

	t.Run("a model that does not exist", func(t *testing.T) {
		lines := watch(t, address, "nobody", "--json").lines(t)
		if l := lines[0]; l.OK || l.Status != http.StatusNotFound || !strings.Contains(l.Error, `"nobody" does not exist`) {
			t.Errorf("got %+v, want the router's error", l)
		}
	})

	t.Run("a key", func(t *testing.T) {
		keyed := "http://" + address + "/keyed"
		if got := watch(t, keyed, "good", "--key-env", "RIGHT_KEY"); got.failure != nil || strings.Contains(got.out, "right") {
			t.Errorf("got %v:\n%s\nwant success without the key", got.failure, got.out)
		}
		if got := watch(t, keyed, "good", "--key-env", "WRONG_KEY"); got.failure == nil || !strings.Contains(got.out, "401") {
			t.Errorf("got %v:\n%s\nwant 401", got.failure, got.out)
		}
	})
}

// An interrupt ends the watch with its summary; the request that it cuts short
// counts for nothing.
func TestWatchUntilInterrupted(t *testing.T) {
	caddyharness.NoLeaks(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if asked++; asked == 3 {
			interrupt()
			<-r.Context().Done()
			return
		}
		io.WriteString(w, `{"model":"m","choices":[{}]}`)
	}))
	defer server.Close()
	got := run(ctx, t, "watch", server.URL, "m", "--interval", "1ms", "--json")
	lines := got.lines(t)
	if sum := lines[len(lines)-1]; got.failure != nil || sum.Requests != 2 || sum.Failed != 0 || asked != 3 {
		t.Errorf("got %v, %+v after %d requests; want 2 counted and no failure", got.failure, sum, asked)
	}
}

func TestWatchInterruptedBetweenRequests(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"model":"m","choices":[{}]}`)
		time.AfterFunc(50*time.Millisecond, interrupt)
	}))
	defer server.Close()
	start := time.Now()
	got := run(ctx, t, "watch", server.URL, "m", "--interval", "1h")
	if got.failure != nil || !strings.Contains(got.out, "1 of 1 succeeded") || time.Since(start) > time.Minute {
		t.Errorf("got %v after %v:\n%s", got.failure, time.Since(start), got.out)
	}
}
