package llmrouter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A handler before the router may trace what the request asks of others, as plugins
// do. What it traces is its own request, and no later one.
func TestTracesAreOfOneRequest(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"choices":[]}`)
	}))
	defer upstream.Close()
	handler, err := provision(t, `{"pools":[{"name":"m","deployments":[{"id":"a","base_url":"`+upstream.URL+`"}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	const requests = 50
	var heard [requests]atomic.Int32
	for i := range requests {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { heard[i].Add(1) },
		})
		w := &discard{header: make(http.Header)}
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[]}`))
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
		if err := handler.ServeHTTP(w, r, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range heard {
		if n := heard[i].Load(); n != 1 {
			t.Errorf("the trace of request %d has heard of %d connections, want its own", i, n)
		}
	}
}
