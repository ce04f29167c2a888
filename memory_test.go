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
// when its length was not announced. A stream that has begun needs its body no more,
// unless it is to go on elsewhere after a cut.
func TestWhatRequestsHold(t *testing.T) {
	const size = 1 << 20
	for _, tt := range []struct {
		name, policy, path string
		length             int64
		most               int // bytes
	}{
		{"a request of announced length", "", "/v1/chat/held", size, size + size/10},
		{"a chunked request", "", "/v1/chat/held", -1, size + size/10},
		{"a stream that has begun", "", "/v1/chat/completions/open", size, size / 10},
		{"a stream that has begun before it was hedged", `"hedge":{"after":"1h"},`, "/v1/chat/completions/open", size, size / 10},
		{"a stream that can go on elsewhere", `"resume":true,`, "/v1/chat/completions/open", size, size + size/10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler, err := provision(t, `{`+tt.policy+`"pools":[{"name":"m","deployments":[
				{"id":"a","base_url":"http://127.0.0.1:1/v1","reverse_proxy":{"transport":{"protocol":"test_instant"}}},
				{"id":"b","base_url":"http://127.0.0.1:2/v1","reverse_proxy":{"transport":{"protocol":"test_instant"}}}]}]}`)
			if err != nil {
				t.Fatal(err)
			}
			if got := heapOfOne(t, handler, tt.path, size, tt.length); got > tt.most {
				t.Errorf("got %d bytes of heap for a request of %d, want at most %d", got, size, tt.most)
			}
		})
	}
}

// heapOfOne is what one request of size holds of the heap while it is at its upstream,
// in bytes.
func heapOfOne(t *testing.T, handler caddyhttp.MiddlewareHandler, path string, size int, length int64) int {
	t.Helper()
	const requests = 16
	before, after := `{"messages":[{"role":"user","content":"`, `"}],"model":"m"}`
	body := before + strings.Repeat("x", size-len(before)-len(after)) + after
	idle := heap()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			w := &discard{header: make(http.Header)}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, nil)
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
	defer wg.Wait()
	defer cancel()
	return (heap() - idle) / requests
}

// heap is the size of the heap without what is only pooled, in bytes.
func heap() int {
	runtime.GC()
	runtime.GC() // empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
