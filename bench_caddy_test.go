package llmrouter_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What Caddy's server does for each request before any handler sees it and that it
// could leave until it is needed: docs/performance.md proposes how.

// BenchmarkCaddyErrorLog is the copy of the request for an error log to which most
// requests write nothing.
func BenchmarkCaddyErrorLog(b *testing.B) {
	logger, r := zap.New(zapcore.NewNopCore()), requestOfPythonClient()
	b.ReportAllocs()
	for b.Loop() {
		request := zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r.Clone(r.Context())})
		if logger.WithLazy(request) == nil {
			b.Fatal("no logger")
		}
	}
}

// BenchmarkCaddySubroute is the chain of a subroute with one handler, such as each site
// of a Caddyfile is. It is made anew for each request.
func BenchmarkCaddySubroute(b *testing.B) {
	subroute := benchModule(b, "http.handlers.subroute", `{"routes":[{"handle":[{"handler":"vars"}]}]}`)
	w := &discard{header: make(http.Header)}
	r := caddyhttp.PrepareRequest(requestOfPythonClient(), caddy.NewReplacer(), w, new(caddyhttp.Server))
	end := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		if err := subroute.ServeHTTP(w, r, end); err != nil {
			b.Fatal(err)
		}
	}
}

// requestOfPythonClient has the headers that OpenAI's client for Python sends.
func requestOfPythonClient() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/v1/chat/completions", nil)
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Authorization", "Content-Type", "User-Agent", "X-Stainless-Arch", "X-Stainless-Async",
		"X-Stainless-Lang", "X-Stainless-Os", "X-Stainless-Package-Version", "X-Stainless-Retry-Count", "X-Stainless-Runtime",
		"X-Stainless-Runtime-Version", "X-Stainless-Read-Timeout",
	} {
		r.Header.Set(name, "value")
	}
	return r
}
