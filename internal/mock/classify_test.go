package mock

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// What the mock plays is what the router sees, with the status that a provider
// uses for it.
func TestErrorsAreClassifiedAsTheirClass(t *testing.T) {
	statuses := map[retry.Class][]int{
		retry.Timeout:       {408, 504},
		retry.RateLimit:     {429},
		retry.Quota:         {402, 429},
		retry.Auth:          {401, 403},
		retry.NotFound:      {404},
		retry.Overloaded:    {503, 529},
		retry.ServerError:   {500, 502},
		retry.ContextWindow: {400, 413, 422},
		retry.ContentPolicy: {400, 403},
		retry.BadRequest:    {400, 422},
	}
	for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/api/chat"} {
		for class, all := range statuses {
			for _, status := range all {
				tr := &Transport{Error: &Failure{Status: status, Class: class.String()}}
				resp, body := send(t, tr, "POST", path, `{"model":"m1"}`)
				if got := retry.Classify(resp.StatusCode, resp.Header, []byte(body)); got != class {
					t.Errorf("%s, status %d, %s: got class %s, want %s", path, status, body, got, class)
				}
			}
		}
	}
}
