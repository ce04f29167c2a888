package wholepath

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The memory of a request serves another one after it. Whatever an upstream or a client
// does with a connection, no request may be sent, or answered, with a piece of another.
func TestRequestsNeverMeetInMemory(t *testing.T) {
	var mixed atomic.Int64
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, how := r.Header.Get("X-Id"), r.Header.Get("X-How")
		answer := `{"choices":[{"message":{"content":"` + id + `"}}]}`
		if how == "early" { // before the body has been read
			w.Header().Set("Connection", "close")
			w.Header().Set("X-Answer", id)
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, answer)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil && string(body) != bodyOf(id, len(body)) {
			mixed.Add(1)
		}
		switch how {
		case "hints":
			w.Header().Set("X-Hint", id)
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("X-Hint")
		case "slow": // so that some clients leave, most of them with hints on their way
			for range rand.IntN(100) {
				w.Header().Set("X-Hint", id)
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
			}
			w.Header().Del("X-Hint")
		case "stale", "trailing":
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Answer: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(answer), answer)
			if how == "trailing" { // which may come to whoever gets the connection next
				buf.WriteString("HTTP/1.1 103 Early Hints\r\nX-Hint: nobody\r\n\r\n")
			}
			buf.Flush()
			return
		case "stream":
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("X-Answer", id)
			fmt.Fprintf(w, "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\ndata: [DONE]\n\n", id)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Answer", id)
		io.WriteString(w, answer)
	}))
	defer upstream.Close()
	s := routerWith(t, fmt.Sprintf(`pool p {
		deployment a %[1]s
		deployment b %[1]s {
			transport http {
				keepalive 1ms
			}
		}
		cooldown off
	}`, upstream.URL))

	ways := []string{"plain", "plain", "plain", "early", "hints", "slow", "stale", "trailing", "stream"}
	sizes := []int{2 << 10, 12 << 10, 128 << 10}
	var served atomic.Int64
	var clients sync.WaitGroup
	for client := range 16 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			for n := range 100 {
				how, id := ways[random.IntN(len(ways))], fmt.Sprintf("c%dn%d", client, n)
				ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
				if how == "slow" {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(random.IntN(10))*time.Millisecond)
				}
				ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
					if hint := h.Get("X-Hint"); hint != id && hint != "nobody" {
						t.Errorf("%s, %s: got a hint for %q", id, how, hint)
					}
					return nil
				}})
				g, err := tryAsk(ctx, s, chatPath, bodyOf(id, 100+random.IntN(sizes[random.IntN(len(sizes))])), "X-Id", id, "X-How", how)
				cancel()
				switch {
				case how == "slow" && (err != nil || g.status != 200):
				case err != nil:
					t.Errorf("%s, %s: %v", id, how, err)
				case g.status != 200: // an upstream that closed its connection while it was written to
				case g.header.Get("X-Answer") != id || !strings.Contains(g.body, strconv.Quote(id)):
					t.Errorf("%s, %s: got the answer for %q: %s", id, how, g.header.Get("X-Answer"), g.body)
				default:
					served.Add(1)
				}
			}
		})
	}
	clients.Wait()
	if n := mixed.Load(); n > 0 {
		t.Errorf("%d requests had pieces of others", n)
	}
	if n := served.Load(); n < 16*100*3/4 {
		t.Errorf("only %d requests were served", n)
	}
}

// bodyOf is a request's body of about so many bytes, which repeats an id.
func bodyOf(id string, size int) string {
	const before, after = `{"model":"p","messages":[{"role":"user","content":"`, `"}]}`
	fill := strings.Repeat(id+" ", size/len(id)+1)[:max(0, size-len(before)-len(after))]
	return before + fill + after
}
