package adminapi_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	_ "github.com/llmrouter/caddy-llm-router/internal/adminapi"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

func init() {
	caddy.RegisterModule(new(fakeApp))
}

// fakeApp stands for the app of the router. Its config is what it answers.
type fakeApp struct {
	Pools []status.Pool `json:"pools,omitempty"`
	Fail  bool          `json:"fail,omitempty"`
}

func (*fakeApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "llm_router", New: func() caddy.Module { return new(fakeApp) }}
}

func (a *fakeApp) Start() error {
	if a.Fail {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (*fakeApp) Stop() error { return nil }

// Status shows in the queue's depth whether the time is that of the request.
func (a *fakeApp) Status(now time.Time) status.Status {
	if len(a.Pools) > 0 && time.Since(now).Abs() < time.Hour {
		a.Pools[0].QueueDepth = 1
	}
	return status.Status{Pools: a.Pools}
}

const twoPools = `{"apps":{"llm_router":{"pools":[
	{"name":"b","strategy":"weighted","deployments":[{"id":"y","state":"cooling","reason":"timeout","order":1},{"id":"x","state":"full"}]},
	{"name":"a","strategy":"least_busy"}]}}}`

const twoPoolsStatus = `{"pools":[{"name":"b","strategy":"weighted","queue_depth":1,"deployments":[` +
	`{"id":"y","order":1,"weight":0,"state":"cooling","reason":"timeout","cooldown_remaining_ms":0,"in_flight":0,` +
	`"requests":0,"failures":0,"ttft_ms":0,"input_tokens":0,"output_tokens":0},` +
	`{"id":"x","order":0,"weight":0,"state":"full","reason":"","cooldown_remaining_ms":0,"in_flight":0,` +
	`"requests":0,"failures":0,"ttft_ms":0,"input_tokens":0,"output_tokens":0}]},` +
	`{"name":"a","strategy":"least_busy","queue_depth":0,"deployments":[]}]}`

// ask sends a request for the status to the admin API. Just after a reload the
// admin server of the config before may still take a connection, only to close
// it: that is Caddy's, and asked again.
func ask(t *testing.T, s *caddyharness.Server, method string) (*http.Response, string) {
	t.Helper()
	client := s.AdminClient(t)
	for tries := 100; ; tries-- {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/llm_router/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if tries > 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, strings.TrimSpace(string(body))
	}
}

func check(t *testing.T, s *caddyharness.Server, want string) {
	t.Helper()
	resp, body := ask(t, s, http.MethodGet)
	if resp.StatusCode != http.StatusOK || body != want {
		t.Errorf("got %d and %s\nwant 200 and %s", resp.StatusCode, body, want)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("got Content-Type %q, want application/json", got)
	}
}

func TestStatusFollowsTheRunningConfig(t *testing.T) {
	caddyharness.NoLeaks(t)
	s := caddyharness.Load(t, `{}`, caddyharness.WithAdmin())
	check(t, s, `{"pools":[]}`)
	s.Reload(t, twoPools)
	check(t, s, twoPoolsStatus)
	if err := s.TryReload(`{"apps":{"llm_router":{"fail":true}}}`); err == nil {
		t.Error("got no error for an app that does not start")
	}
	check(t, s, twoPoolsStatus)
	s.Reload(t, `{"apps":{"llm_router":{}}}`)
	check(t, s, `{"pools":[]}`)
	s.Reload(t, `{}`)
	check(t, s, `{"pools":[]}`)
}

func TestOtherMethodsAreRefused(t *testing.T) {
	s := caddyharness.Load(t, twoPools, caddyharness.WithAdmin())
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		resp, body := ask(t, s, method)
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != http.MethodGet {
			t.Errorf("%s: got %d, Allow %q; want 405 and GET", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
		if want := `{"error":"method ` + method + ` is not allowed"}`; body != want {
			t.Errorf("%s: got %s, want %s", method, body, want)
		}
	}
}
