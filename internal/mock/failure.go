package mock

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// retryAfter is what a rate limit asks for, in seconds.
const retryAfter = "1"

// Failure describes how a request fails.
type Failure struct {
	// The HTTP status of the answer, from 400 to 599. Not used by the class
	// `connection`, which has no answer.
	Status int `json:"status"`

	// What the failure means: `connection`, `timeout`, `rate_limit`, `quota`,
	// `auth`, `client_auth`, `not_found`, `overloaded`, `server_error`,
	// `context_window`, `content_policy` or `bad_request`. The body of the answer
	// is what a provider would send, in the dialect of the path; `rate_limit`
	// adds a `Retry-After` of one second, and `connection` refuses the
	// connection instead of answering.
	Class string `json:"class"`

	// The error message. Default: a provider's wording for the class.
	Message string `json:"message,omitempty"`
}

func (f *Failure) validate() error {
	if f.Status < 400 || f.Status > 599 {
		return fmt.Errorf("error: expected a status from 400 to 599, got %d", f.Status)
	}
	if _, ok := retry.ParseClass(f.Class); !ok {
		return fmt.Errorf("error: unknown class '%s'; expected one of %s", f.Class, strings.Join(classNames(), ", "))
	}
	return nil
}

func classNames() []string {
	var names []string
	for c := range retry.NumClasses {
		if _, ok := retry.ParseClass(c.String()); ok {
			names = append(names, c.String())
		}
	}
	return names
}

// orDefault is the failure of a transport that has a fail_first or fail_rate
// and no error.
func (f *Failure) orDefault() *Failure {
	if f == nil {
		return &Failure{Status: http.StatusInternalServerError, Class: retry.ServerError.String()}
	}
	return f
}

// respond fails a request as configured.
func (f *Failure) respond(r *http.Request, q *request) (*http.Response, error) {
	class, _ := retry.ParseClass(f.Class)
	if class == retry.Connection {
		// What Caddy's own transport returns for a server that is down.
		return nil, reverseproxy.NewDialError(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	}
	resp := newResponse(r, f.Status, "application/json", f.body(class, q))
	if class == retry.RateLimit {
		resp.Header.Set("Retry-After", retryAfter)
	}
	return resp, nil
}

func (f *Failure) body(class retry.Class, q *request) []byte {
	switch {
	case q.dialect == api.Messages:
		kind, message := anthropicError(class, q.model)
		return marshal(anthropicFailure{
			Type:      "error",
			Error:     anthropicFailureDetail{Type: kind, Message: orElse(f.Message, message)},
			RequestID: newID("req_"),
		})
	case q.dialect.NDJSON():
		return marshal(map[string]string{"error": orElse(f.Message, ollamaError(class, q.model))})
	}
	detail := openAIError(class, q.model)
	detail.Message = orElse(f.Message, detail.Message)
	return marshal(openAIFailure{Error: detail})
}

type openAIFailure struct {
	Error openAIFailureDetail `json:"error"`
}

type openAIFailureDetail struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

type anthropicFailure struct {
	Type      string                 `json:"type"`
	Error     anthropicFailureDetail `json:"error"`
	RequestID string                 `json:"request_id"`
}

type anthropicFailureDetail struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// marshal renders values of this package's own, which have nothing that JSON
// cannot express.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}
