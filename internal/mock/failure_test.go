package mock

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/tidwall/gjson"
)

func TestErrorBodies(t *testing.T) {
	const (
		openAI    = "/v1/chat/completions"
		anthropic = "/v1/messages"
		ollama    = "/api/chat"
	)
	tests := []struct {
		class, path string
		status      int
		key, want   string
	}{
		{"timeout", openAI, 504, "error.type", "timeout"},
		{"rate_limit", openAI, 429, "error.code", "rate_limit_exceeded"},
		{"quota", openAI, 429, "error.code", "insufficient_quota"},
		{"auth", openAI, 401, "error.code", "invalid_api_key"},
		{"client_auth", openAI, 401, "error.code", "invalid_api_key"},
		{"not_found", openAI, 404, "error.code", "model_not_found"},
		{"overloaded", openAI, 503, "error.code", "server_is_overloaded"},
		{"server_error", openAI, 500, "error.type", "server_error"},
		{"context_window", openAI, 400, "error.code", "context_length_exceeded"},
		{"content_policy", openAI, 400, "error.code", "content_filter"},
		{"bad_request", openAI, 400, "error.param", "mock"},
		{"rate_limit", "/v1/embeddings", 429, "error.code", "rate_limit_exceeded"},

		{"timeout", anthropic, 504, "error.type", "timeout_error"},
		{"rate_limit", anthropic, 429, "error.type", "rate_limit_error"},
		{"quota", anthropic, 400, "error.message", "Your credit balance is too low to access the Anthropic API. " +
			"Please go to Plans & Billing to upgrade or purchase credits."},
		{"auth", anthropic, 401, "error.type", "authentication_error"},
		{"not_found", anthropic, 404, "error.message", "model: m1"},
		{"overloaded", anthropic, 529, "error.type", "overloaded_error"},
		{"server_error", anthropic, 500, "error.type", "api_error"},
		{"context_window", anthropic, 400, "error.message", "prompt is too long: 208310 tokens > 200000 maximum"},
		{"content_policy", anthropic, 400, "error.message", "Output blocked by content filtering policy"},
		{"bad_request", anthropic, 400, "type", "error"},

		{"not_found", ollama, 404, "error", "model 'm1' not found"},
		{"overloaded", ollama, 503, "error", "server busy, please try again.  maximum pending requests exceeded"},
		{"context_window", ollama, 400, "error", "the input length exceeds the context length"},
	}
	for _, tt := range tests {
		t.Run(tt.class+tt.path, func(t *testing.T) {
			tr := &Transport{Error: &Failure{Status: tt.status, Class: tt.class}}
			resp, body := send(t, tr, "POST", tt.path, `{"model":"m1","stream":true}`)
			if resp.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", resp.StatusCode, tt.status)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("got Content-Type %q, want application/json", got)
			}
			if got := gjson.Get(body, tt.key).String(); got != tt.want {
				t.Errorf("%s: got %q, want %q in %s", tt.key, got, tt.want, body)
			}
			wantWait := map[bool]string{true: "1"}[tt.class == "rate_limit"]
			if got := resp.Header.Get("Retry-After"); got != wantWait {
				t.Errorf("got Retry-After %q, want %q", got, wantWait)
			}
		})
	}
}

func TestErrorMessageIsTheConfiguredOne(t *testing.T) {
	for path, key := range map[string]string{
		"/v1/chat/completions": "error.message", "/v1/messages": "error.message", "/api/chat": "error",
	} {
		tr := &Transport{Error: &Failure{Status: 429, Class: "rate_limit", Message: "slow down"}}
		_, body := send(t, tr, "POST", path, `{"model":"m"}`)
		if got := gjson.Get(body, key).Str; got != "slow down" {
			t.Errorf("%s: got message %q, want %q", path, got, "slow down")
		}
	}
}

func TestConnectionFailureIsADialError(t *testing.T) {
	tr := &Transport{Error: &Failure{Status: 502, Class: "connection"}}
	_, err := tr.RoundTrip(newRequest(t.Context(), "POST", "/v1/chat/completions", `{"model":"m"}`))
	if want := syscall.ECONNREFUSED.Error(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one that says %q", err, want)
	}
	if !errors.As(err, new(reverseproxy.DialError)) {
		t.Errorf("got a %T, want a DialError, after which reverse_proxy may retry", err)
	}
}

func TestWhichRequestsFail(t *testing.T) {
	tests := []struct {
		name  string
		tr    *Transport
		rolls []float64
		want  []int
	}{
		{"none by default", &Transport{}, nil, []int{200, 200}},
		{"all with an error", &Transport{Error: &Failure{Status: 503, Class: "overloaded"}}, nil, []int{503, 503, 503}},
		{
			"the first two", &Transport{FailFirst: ptr(2), Error: &Failure{Status: 429, Class: "rate_limit"}}, nil,
			[]int{429, 429, 200, 200},
		},
		{"fail_first alone is a 500", &Transport{FailFirst: ptr(1)}, nil, []int{500, 200}},
		{"fail_rate alone is a 500", &Transport{FailRate: ptr(30.0)}, []float64{0, 0.299, 0.3, 0.9}, []int{500, 500, 200, 200}},
		{
			"fail_rate 0 never fails", &Transport{FailRate: ptr(0.0), Error: &Failure{Status: 500, Class: "server_error"}},
			[]float64{0, 0.5},
			[]int{200, 200},
		},
		{"fail_rate 100 always fails", &Transport{FailRate: ptr(100.0)}, []float64{0, 0.9999999}, []int{500, 500}},
		{
			"fail_first 0 never fails", &Transport{FailFirst: ptr(0), Error: &Failure{Status: 500, Class: "server_error"}},
			nil,
			[]int{200},
		},
		{"the first and then some", &Transport{FailFirst: ptr(1), FailRate: ptr(50.0)}, []float64{0.6, 0.4}, []int{500, 200, 500}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.tr.roll = func() float64 {
				r := tt.rolls[0]
				tt.rolls = tt.rolls[1:]
				return r
			}
			for i, want := range tt.want {
				// What health checks send neither fails nor counts.
				if resp, _ := send(t, tt.tr, "GET", "/v1/models", ""); resp.StatusCode != 200 {
					t.Errorf("GET before request %d: got status %d", i, resp.StatusCode)
				}
				resp, _ := send(t, tt.tr, "POST", "/v1/chat/completions", `{"model":"m"}`)
				if resp.StatusCode != want {
					t.Errorf("request %d: got status %d, want %d", i, resp.StatusCode, want)
				}
			}
		})
	}
}

func TestFailFirstCountsConcurrentRequests(t *testing.T) {
	tr := &Transport{FailFirst: ptr(10)}
	var failed atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			resp, err := tr.RoundTrip(newRequest(t.Context(), "POST", "/v1/chat/completions", `{"model":"m"}`))
			if err == nil && resp.StatusCode == http.StatusInternalServerError {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if got := failed.Load(); got != 10 {
		t.Errorf("got %d failures, want 10", got)
	}
}
