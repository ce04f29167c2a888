package wholepath

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func init() {
	caddy.RegisterModule(deaf{})
	caddy.RegisterModule(deafLookup{})
}

// deaf is a transport that does not hear when a request is canceled.
type deaf struct{}

// deafUntil holds the channel that whoever is deaf waits for.
var deafUntil atomic.Value

func (deaf) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport.test_deaf", New: func() caddy.Module { return new(deaf) }}
}

func (deaf) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (deaf) RoundTrip(*http.Request) (*http.Response, error) {
	<-deafUntil.Load().(chan struct{})
	return nil, errors.New("at last")
}

// deafLookup is a source of upstreams that does not hear it either.
type deafLookup struct{}

func (deafLookup) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.upstreams.test_deaf", New: func() caddy.Module { return new(deafLookup) }}
}

func (deafLookup) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (deafLookup) GetUpstreams(*http.Request) ([]*reverseproxy.Upstream, error) {
	<-deafUntil.Load().(chan struct{})
	return []*reverseproxy.Upstream{{Dial: "127.0.0.1:1"}}, nil
}

// The client has its answer, to the end, before a loser that takes its time has ended.
func TestNobodyWaitsForLosers(t *testing.T) {
	long := strings.Replace(streamed, "Hi", strings.Repeat("long ", 1000), 1)
	for name, tt := range map[string]struct{ body, deployment string }{
		"plain":    {plain, "transport test_deaf"},
		"streamed": {streamed, "transport test_deaf"},
		// Who asks for the body when it is late must still find it.
		"before it sends its body": {long, "model other\ndynamic test_deaf"},
	} {
		t.Run(name, func(t *testing.T) {
			until := make(chan struct{})
			deafUntil.Store(until)
			b := scripted.New(t).Always(scripted.OK("by b"))
			s := routerWith(t, "pool p {\nhedge 50ms\ndeployment a {\nweight 1\n"+tt.deployment+"\n}\ndeployment b "+b.URL+" {\nweight 0\n}\n}")
			ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(chatPath), strings.NewReader(tt.body))
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
			close(until)
			if _, err := io.ReadAll(resp.Body); err != nil {
				t.Error(err)
			}
		})
	}
}

// A loser whose upstream has not been sent anything has cost nothing.
func TestLosersThatSentNothingCostNothing(t *testing.T) {
	until := make(chan struct{})
	deafUntil.Store(until)
	b := scripted.New(t).Always(scripted.OK("by b"))
	s := caddyharness.Load(t, observed("pool p {\nhedge 50ms\ndeployment a {\nweight 1\ntransport test_deaf\n}\ndeployment b "+b.URL+" {\nweight 0\n}\n}\n"))
	ask(t, s, chatPath, plain).served(t, "by b", "b", 2, 0)
	close(until)
	eventually(t, "the loser to be counted", 5*time.Second, func() bool { return scrape(t, s)[attempts("p", "a", "canceled")] == 1 })
	page := scrape(t, s)
	if sent, won := page[tokens("p", "a", "input")], page[tokens("p", "b", "input")]; sent != 0 || won == 0 {
		t.Errorf("got %v tokens that were sent to the loser, and %v to the winner; want none, and some", sent, won)
	}
}
