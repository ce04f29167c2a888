package wholepath

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A model server answers many requests at a time: the connections that they came over
// are kept for the next ones, unless the user keeps fewer.
func TestConnectionsOfManyRequestsAreKept(t *testing.T) {
	const atOnce = 200
	for _, c := range []struct {
		name, transport string
		want            func(second int) bool // connections that further requests open
	}{
		{"by default", "", func(n int) bool { return n == 0 }},
		{"with a keepalive", "transport http {\n keepalive 1m\n}", func(n int) bool { return n == 0 }},
		{"as many as the user says", "transport http {\n keepalive_idle_conns_per_host 3\n}", func(n int) bool { return n >= atOnce-3 }},
		{"none", "transport http {\n keepalive off\n}", func(n int) bool { return n == atOnce }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var opened atomic.Int32
			wave := newBarrier(atOnce)
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				wave.wait()
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, rightAnswer)
			}))
			up.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					opened.Add(1)
				}
			}
			up.Start()
			t.Cleanup(up.Close)
			s := routerWith(t, fmt.Sprintf("pool p {\n\tdeployment a %s/v1 {\n\t\t%s\n\t}\n}", up.URL, c.transport))
			for round, want := range []func(int) bool{func(n int) bool { return n == atOnce }, c.want} {
				before := opened.Load()
				var asked sync.WaitGroup
				for range atOnce {
					asked.Go(func() {
						if g, err := tryAsk(t.Context(), s, chatPath, plain); err != nil || g.status != 200 {
							t.Errorf("got %d %s, %v", g.status, g.body, err)
						}
					})
				}
				asked.Wait()
				if n := int(opened.Load() - before); !want(n) {
					t.Errorf("round %d: %d connections were opened for %d requests", round, n, atOnce)
				}
			}
		})
	}
}

// barrier holds requests until so many have come, again and again.
type barrier struct {
	mu   sync.Mutex
	n    int
	in   int
	open chan struct{}
}

func newBarrier(n int) *barrier { return &barrier{n: n, open: make(chan struct{})} }

func (b *barrier) wait() {
	b.mu.Lock()
	open := b.open
	if b.in++; b.in == b.n {
		close(open)
		b.in, b.open = 0, make(chan struct{})
	}
	b.mu.Unlock()
	select {
	case <-open:
	case <-time.After(askTimeout):
	}
}
