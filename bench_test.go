package llmrouter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// discard is a client that takes everything and keeps nothing but the status.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (*discard) Flush()                        {}

// What a request costs in the handler, the made-up answer of llm_mock included,
// where no access log wants to know of it, and where one does.
func BenchmarkHandler(b *testing.B) {
	handler, err := provision(b, `{"pools":[{"name":"m","deployments":[
		{"id":"a","reverse_proxy":{"transport":{"protocol":"llm_mock","response":"hello"}}}]}]}`)
	if err != nil {
		b.Fatal(err)
	}
	for _, logs := range []struct {
		name   string
		server *caddyhttp.Server
	}{
		{"", &caddyhttp.Server{}},
		{", logged", &caddyhttp.Server{Logs: new(caddyhttp.ServerLogConfig)}},
	} {
		for name, body := range map[string]string{
			"plain":    `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`,
			"streamed": `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}`,
		} {
			b.Run(name+logs.name, func(b *testing.B) {
				text, w := strings.NewReader(body), &discard{header: make(http.Header)}
				base := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/chat/completions", nil)
				b.ReportAllocs()
				for b.Loop() {
					text.Reset(body)
					clear(w.header)
					r := caddyhttp.PrepareRequest(base, caddy.NewReplacer(), w, logs.server)
					r.Body, r.ContentLength = io.NopCloser(text), int64(len(body))
					if err := handler.ServeHTTP(w, r, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
