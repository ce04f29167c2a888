package wholepath

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func init() { caddy.RegisterModule(deaf{}) }

// deaf is a transport that does not hear when a request is canceled.
type deaf struct{}

var deafUntil chan struct{}

func (deaf) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.test_deaf", New: func() caddy.Module { return new(deaf) }}
}

func (deaf) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (deaf) RoundTrip(*http.Request) (*http.Response, error) {
	<-deafUntil
	return nil, errors.New("at last")
}

// The client has its answer, to the end, before a loser that takes its time has ended.
func TestNobodyWaitsForLosers(t *testing.T) {
	for kind, body := range map[string]string{"plain": plain, "streamed": streamed} {
		t.Run(kind, func(t *testing.T) {
			deafUntil = make(chan struct{})
			b := scripted.New(t).Always(scripted.OK("by b"))
			s := routerWith(t, "pool p {\nhedge 50ms\ndeployment a {\nweight 1\ntransport test_deaf\n}\ndeployment b "+b.URL+" {\nweight 0\n}\n}")
			ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(chatPath), strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var text []byte
			for buf := make([]byte, 1024); err == nil; {
				var n int
				n, err = resp.Body.Read(buf)
				text = append(text, buf[:n]...)
				if strings.Contains(string(text), "[DONE]") {
					break // the end of the body comes with that of the request
				}
			}
			if err != nil && err != io.EOF {
				t.Errorf("got %v after %q, want the whole answer", err, text)
			}
			close(deafUntil)
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
		})
	}
}
