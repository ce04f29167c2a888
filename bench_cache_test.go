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

// What an answer that is kept costs in the handler, beside one that comes from a server
// on the same machine, whose own part is in that number too.
func BenchmarkCache(b *testing.B) {
	const answer = `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
	const events = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello.\"},\"finish_reason\":null}]}\n\n" +
		"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, events) //nolint:errcheck
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, answer) //nolint:errcheck
	}))
	b.Cleanup(upstream.Close)
	handler, err := provision(b, `{"pools":[
		{"name":"kept","cache":{"ttl":3600000000000},"deployments":[{"id":"a","base_url":"`+upstream.URL+`/v1","api_key":"k"}]},
		{"name":"asked","deployments":[{"id":"a","base_url":"`+upstream.URL+`/v1","api_key":"k"}]}]}`)
	if err != nil {
		b.Fatal(err)
	}
	const prompt = "What do you know of routers? "
	for _, kind := range []string{"whole", "streamed", "long"} {
		for _, pool := range []string{"kept", "asked"} {
			b.Run(kind+"/"+pool, func(b *testing.B) {
				text := prompt
				if kind == "long" {
					text = strings.Repeat(prompt, 1000)
				}
				body := `{"model":"` + pool + `","temperature":0.5,"messages":[{"role":"user","content":"` + text + `"}]}`
				if kind == "streamed" {
					body = `{"stream":true,` + body[1:]
				}
				reader, w := strings.NewReader(body), &discard{header: make(http.Header)}
				base := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/chat/completions", nil)
				ask := func() {
					reader.Reset(body)
					clear(w.header)
					r := caddyhttp.PrepareRequest(base, caddy.NewReplacer(), w, &caddyhttp.Server{})
					r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
					if err := handler.ServeHTTP(w, r, nil); err != nil {
						b.Fatal(err)
					}
				}
				ask()
				b.ReportAllocs()
				for b.Loop() {
					ask()
				}
				if got := w.header.Get("X-Llm-Cache"); (got == "hit") != (pool == "kept") {
					b.Fatalf("got X-LLM-Cache %q of the pool %s", got, pool)
				}
			})
		}
	}
}
