package llmrouter_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The benchmarks below differ in one key of their names each, so that benchstat can
// set its values side by side: `benchstat -col /proxy`.

// BenchmarkProxy is the router against a bare reverse_proxy with the same transport.
func BenchmarkProxy(b *testing.B) {
	proxies := []struct {
		name    string
		handler caddyhttp.MiddlewareHandler
	}{
		{"caddy", benchModule(b, "http.handlers.reverse_proxy",
			`{"upstreams":[{"dial":"127.0.0.1:1"},{"dial":"127.0.0.1:2"}],"transport":{"protocol":"test_instant"}}`)},
		{"router", benchRouter(b, 1, 2, "")},
	}
	for _, request := range []struct{ name, path, body string }{
		{"json-1K", "/v1/chat/completions", benchBody(1<<10, false)},
		{"json-32K", "/v1/chat/completions", benchBody(32<<10, false)},
		{"json-512K-first", "/v1/chat/completions", benchBody(512<<10, false)},
		{"json-512K-last", "/v1/chat/completions", benchBody(512<<10, true)},
		{"sse-100", "/v1/chat/completions/stream", strings.Replace(benchBody(1<<10, false), "{", `{"stream":true,`, 1)},
	} {
		for _, proxy := range proxies {
			b.Run("request="+request.name+"/proxy="+proxy.name, func(b *testing.B) {
				benchRequests(b, proxy.handler, &caddyhttp.Server{}, request.path, request.body)
			})
		}
	}
}

// BenchmarkPools is a request where there are few and where there are many pools.
func BenchmarkPools(b *testing.B) {
	for _, n := range []int{1, 1000} {
		handler := benchRouter(b, n, 2, "")
		b.Run(fmt.Sprintf("pools=%d", n), func(b *testing.B) {
			benchRequests(b, handler, &caddyhttp.Server{}, "/v1/chat/completions", benchBody(1<<10, false))
		})
	}
}

// BenchmarkDeployments is a request to a small pool and to a large one.
func BenchmarkDeployments(b *testing.B) {
	for _, n := range []int{2, 100} {
		handler := benchRouter(b, 1, n, "")
		b.Run(fmt.Sprintf("deployments=%d", n), func(b *testing.B) {
			benchRequests(b, handler, &caddyhttp.Server{}, "/v1/chat/completions", benchBody(1<<10, false))
		})
	}
}

// BenchmarkAccounting is a request with all that is counted for it, limits, prices
// and the access log, and without.
func BenchmarkAccounting(b *testing.B) {
	for _, accounting := range []struct {
		name, deployment string
		server           *caddyhttp.Server
	}{
		{"off", "", &caddyhttp.Server{}},
		{"on", `"rpm":1000000000000,"tpm":1000000000000,"max_parallel":1000,"cost":{"input":1,"output":2},`, &caddyhttp.Server{Logs: new(caddyhttp.ServerLogConfig)}},
	} {
		handler := benchRouter(b, 1, 2, accounting.deployment)
		b.Run("accounting="+accounting.name, func(b *testing.B) {
			benchRequests(b, handler, accounting.server, "/v1/chat/completions", benchBody(1<<10, false))
		})
	}
}

func benchModule(b *testing.B, id, config string) caddyhttp.MiddlewareHandler {
	b.Helper()
	handler, err := provisionModule(b, id, config)
	if err != nil {
		b.Fatal(err)
	}
	return handler
}

// benchRouter is a router with a pool m, and others up to as many as pools says.
// fields are further fields of each deployment.
func benchRouter(b *testing.B, pools, deployments int, fields string) caddyhttp.MiddlewareHandler {
	b.Helper()
	list := make([]string, pools)
	for i := range list {
		name := "m"
		if i > 0 {
			name = fmt.Sprintf("other-%d", i)
		}
		all := make([]string, deployments)
		for j := range all {
			all[j] = fmt.Sprintf(`{"id":"%s-%d",%s"base_url":"http://127.0.0.1:%d/v1","reverse_proxy":{"transport":{"protocol":"test_instant"}}}`, name, j, fields, 1+j)
		}
		list[i] = `{"name":"` + name + `","deployments":[` + strings.Join(all, ",") + `]}`
	}
	return benchModule(b, "http.handlers.llm_router", `{"pools":[`+strings.Join(list, ",")+`]}`)
}

// benchBody is a chat of size bytes, with its model first or last.
func benchBody(size int, modelLast bool) string {
	const text = `She said \"yes\" to that.\nNaïve tokens and code: if (a[i] == {b: 1}) { return \"x\\ty\"; } `
	before, after := `{"model":"m","messages":[{"role":"user","content":"`, `"}],"temperature":0.7}`
	if modelLast {
		before, after = `{"messages":[{"role":"user","content":"`, `"}],"temperature":0.7,"model":"m"}`
	}
	n := size - len(before) - len(after)
	return before + strings.Repeat(text, n/len(text)) + strings.Repeat("x", n%len(text)) + after
}

func benchRequests(b *testing.B, handler caddyhttp.MiddlewareHandler, server *caddyhttp.Server, path, body string) {
	b.Helper()
	text, w := strings.NewReader(body), &discard{header: make(http.Header)}
	base := httptest.NewRequestWithContext(b.Context(), http.MethodPost, path, nil)
	base.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		text.Reset(body)
		clear(w.header)
		r := caddyhttp.PrepareRequest(base, caddy.NewReplacer(), w, server)
		r.Body, r.ContentLength = io.NopCloser(text), int64(len(body))
		if err := handler.ServeHTTP(w, r, nil); err != nil {
			b.Fatal(err)
		}
	}
	if w.status != http.StatusOK {
		b.Fatalf("got status %d, want an answer", w.status)
	}
}
