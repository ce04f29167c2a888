package clients

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3/option"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// The client retries as the router tells it to, and the router does not retry on
// top of a client's retry.
func TestRetriesAreNotMultiplied(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := make(http.Header)
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const body = `{"error":{"message":"%s","type":"%s","param":null,"code":%s}}`
	for _, tt := range []struct {
		name, policy     string
		step             scripted.Step
		client, upstream int // requests of the client, attempts of the router
	}{
		// Once with the router's two retries, and twice without.
		{"server error", "", scripted.Error(500, "server_error", "", "oops"), 3, 3 + 1 + 1},
		{"server error without retries", "retries 0", scripted.Error(500, "server_error", "", "oops"), 3, 3},
		{"overloaded", "", scripted.Error(503, "server_error", "", "overloaded"), 3, 3 + 1 + 1},
		{"rate limit with a wait", "", scripted.Reply(429, header("Retry-After-Ms", "20"), fmt.Sprintf(body, "Rate limit reached.", "requests", `"rate_limit_exceeded"`)), 3, 3 + 1 + 1},
		{"quota", "", scripted.Error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."), 1, 1},
		{"bad request", "", scripted.Error(400, "invalid_request_error", "unknown_parameter", "no"), 1, 1},
		{"context window", "", scripted.Error(400, "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 8 tokens."), 1, 1},
		{"client's key", "", scripted.Error(401, "invalid_request_error", "invalid_api_key", "no"), 1, 1},
		{"upstream that asks for retries of the useless", "", scripted.Reply(400, header("X-Should-Retry", "true"), fmt.Sprintf(body, "no", "invalid_request_error", `"unknown_parameter"`)), 1, 1},
		{"fallback that is good", "default_fallback q", scripted.Error(500, "server_error", "", "oops"), 1, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := scripted.New(t).Always(tt.step)
			good := scripted.New(t)
			policy := tt.policy
			if !strings.Contains(policy, "retries") {
				policy += "\nretries 2 {\n\tbackoff 1ms 2ms\n\tbudget 100% 100\n}\n"
			}
			s := serve(t, fmt.Sprintf("%s\npool p {\n\tdeployment a %s\n}\npool q {\n\tdeployment good %s\n}\n", policy, u.URL, good.URL))
			client, requests := openAI(s, 2, option.WithMaxRetryDelay(1500*time.Millisecond))
			_, err := client.Chat.Completions.New(t.Context(), chatOf("p"))
			if fallback := good.Count() > 0; (err == nil) != fallback {
				t.Errorf("got error %v with fallback %t", err, fallback)
			}
			if got := len(requests.all); got != tt.client {
				t.Errorf("got %d requests of the client, want %d", got, tt.client)
			}
			if got := u.Count(); got != tt.upstream {
				t.Errorf("got %d attempts of the router, want %d", got, tt.upstream)
			}
		})
	}
}
