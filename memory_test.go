package llmrouter_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// What a request holds while its upstream thinks is its body and little else, also
// when its length was not announced.
func TestARequestInFlightHoldsLittleMoreThanItsBody(t *testing.T) {
	const requests, size = 16, 1 << 20
	handler, err := provision(t, `{"pools":[{"name":"m","deployments":[
		{"id":"a","base_url":"http://127.0.0.1:1/v1","reverse_proxy":{"transport":{"protocol":"test_instant"}}}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	before, after := `{"messages":[{"role":"user","content":"`, `"}],"model":"m"}`
	body := before + strings.Repeat("x", size-len(before)-len(after)) + after
	for name, length := range map[string]int64{"of announced length": size, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			idle := heap()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for range requests {
				wg.Go(func() {
					w := &discard{header: make(http.Header)}
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/held", nil)
					r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
					r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), length
					if err := handler.ServeHTTP(w, r, nil); err != nil {
						t.Errorf("got error %v, want a request that ends with its client", err)
					}
				})
			}
			for range requests {
				select {
				case <-held:
				case <-ctx.Done():
					t.Fatal("got fewer requests at the upstream than were sent")
				}
			}
			got := (heap() - idle) / requests
			cancel()
			wg.Wait()
			if want := size + size/10; got > want {
				t.Errorf("got %d bytes of heap for a request of %d, want at most %d", got, size, want)
			}
		})
	}
}

// heap is the size of the heap without what is only pooled, in bytes.
func heap() int {
	runtime.GC()
	runtime.GC() // empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
