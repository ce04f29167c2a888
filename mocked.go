package llmrouter

import (
	"net/http"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// mocks are the failures that a request may ask for, to test its fallbacks.
var mocks = map[apireq.Mock]retry.Class{
	apireq.MockFailure:       retry.ServerError,
	apireq.MockContextWindow: retry.ContextWindow,
	apireq.MockContentPolicy: retry.ContentPolicy,
	apireq.MockRateLimit:     retry.RateLimit,
	apireq.MockTimeout:       retry.Timeout,
}

// mocked is the error for a request whose mocked failure nothing followed: with
// the status and code of the real one, so that clients are tested too.
func mocked(class retry.Class) api.Error {
	const asked = ", mocked as the request asked for."
	switch class {
	case retry.RateLimit:
		return api.Error{Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded", Message: "A rate limit" + asked}
	case retry.ContextWindow:
		return api.Error{Status: http.StatusBadRequest, Code: "context_length_exceeded", Message: "A prompt that is too long" + asked}
	case retry.ContentPolicy:
		return api.Error{Status: http.StatusBadRequest, Code: "content_filter", Message: "A prompt that was filtered" + asked}
	case retry.Timeout:
		return api.Error{Status: http.StatusGatewayTimeout, Code: "upstream_timeout", Message: "A timeout" + asked}
	}
	return api.Error{Status: http.StatusInternalServerError, Message: "A failure" + asked}
}
