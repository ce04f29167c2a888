package wholepath

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func init() {
	caddy.RegisterModule(turnstile{})
	httpcaddyfile.RegisterHandlerDirective("test_turnstile", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return turnstile{}, nil
	})
}

// turnstile counts the requests that go through it to the router.
type turnstile struct{}

var turned atomic.Int64

func (turnstile) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_turnstile", New: func() caddy.Module { return new(turnstile) }}
}

func (turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	turned.Add(1)
	return next.ServeHTTP(w, r)
}

// moody is a model server of which nobody knows what it does next. It keeps no
// records.
func moody(t *testing.T) (url string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	cut := scripted.CutAfter(1<<30, scripted.Stream(0, chatFormat.begun("one ", "two")...))
	steps := []scripted.Step{
		scripted.Error(503, "server_error", "", "busy"),
		scripted.Error(500, "server_error", "", "broken"),
		scripted.Reply(429, http.Header{"Retry-After-Ms": {"5"}}, `{"error":{"message":"Slow down","type":"rate_limit_error"}}`),
		scripted.Error(400, "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 10 tokens."),
		scripted.Error(400, "invalid_request_error", "", "No."),
		cut,
		scripted.CutAfter(40, scripted.OK("cut before its end")),
		func(w http.ResponseWriter, r *http.Request) {
			asked.Add(-1) // the transport may ask again by itself, which is no attempt
			scripted.ResetBeforeHeaders()(w, r)
		},
		scripted.Stream(0, chatFormat.begun()...),
		chatFormat.stall(chatFormat.begun("one ")...),
		scripted.Chat(time.Millisecond, "slow", "ly", ", ", "word ", "by ", "word"),
		scripted.Hang(),
	}
	good := scripted.OK("Hi there")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		step := good
		if rand.IntN(3) == 0 {
			step = steps[rand.IntN(len(steps))]
		}
		step(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// moods are the requests of clients, good and bad.
var moods = []string{
	plain, plain, streamed, streamed, strings.Replace(plain, `"p"`, `"q"`, 1), strings.Replace(streamed, `"p"`, `"q"`, 1),
	`{"model":"unknown"}`, `{"model":`,
}

// However requests end, everything about them adds up: nothing is carried any
// more, and each request and each attempt has been counted once.
func TestAccountsOfManyRequests(t *testing.T) {
	n := 20_000
	switch {
	case os.Getenv("LLM_ROUTER_LONG_TESTS") == "1":
		n = 1_000_000
	case raced:
		n = 5_000
	}
	url, asked := moody(t)
	turned.Store(0)
	s := caddyharness.Load(t, fmt.Sprintf(`{
		order test_turnstile before llm_router
		log {
			level PANIC
		}
	}
	:8080 {
		test_turnstile
		llm_router {
			deadline 1s
			timeout 100ms
			first_token_timeout 100ms
			idle_timeout 50ms
			retries 1 {
				backoff 1ms 2ms
				max_wait 10ms 5ms
			}
			resume on
			cooldown 5ms
			pool p {
				fallback q
				hedge 20ms 2
				deployment a %[1]s {
					max_parallel 6
				}
				deployment b %[1]s/v1 {
					rpm 100000
					tpm 1000000
				}
				deployment gone %[2]s
			}
			pool q {
				cooldown off
				deployment c %[1]s {
					max_parallel 20
				}
			}
		}
	}
	:8081 {
		metrics
	}`, url, refusing(t)), caddyharness.WithAdmin())

	const clients = 24
	var sent atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for sent.Add(1) <= int64(n) {
				patience := askTimeout
				if rand.IntN(4) == 0 { // somebody who leaves, at any moment
					patience = time.Duration(rand.Int64N(int64(5 * time.Millisecond)))
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, _ = tryAsk(ctx, s, chatPath, moods[rand.IntN(len(moods))])
				cancel()
			}
		})
	}
	all.Wait()

	eventually(t, "all requests to be over", 20*time.Second, func() bool {
		return scrape(t, s).sum("requests_total") >= float64(turned.Load()) && scrape(t, s).sum("in_flight") == 0
	})
	now, _ := statusOf(t, s)
	page := scrape(t, s)
	var attempts, failures uint64
	for _, pool := range now.Pools {
		if pool.QueueDepth != 0 {
			t.Errorf("pool %s: got %d that wait, want none", pool.Name, pool.QueueDepth)
		}
		for _, d := range pool.Deployments {
			if d.InFlight != 0 {
				t.Errorf("deployment %s: got %d in flight, want 0", d.ID, d.InFlight)
			}
			if d.Failures > d.Requests {
				t.Errorf("deployment %s: got %d failures of %d requests", d.ID, d.Failures, d.Requests)
			}
			attempts, failures = attempts+d.Requests, failures+d.Failures
			for direction, want := range map[string]uint64{"input": d.InputTokens, "output": d.OutputTokens} {
				if got := page[tokens(pool.Name, d.ID, direction)]; got != float64(want) || want == 0 && d.ID != "gone" {
					t.Errorf("deployment %s: got %v %s tokens on the page, want the %d of its status", d.ID, got, direction, want)
				}
			}
		}
	}
	for name, want := range map[string]float64{"requests_total": float64(turned.Load()), "attempts_total": float64(attempts)} {
		if got := page.sum(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	ended := page.sum("requests_total") - page[`requests_total{deployment="",outcome="bad_request",pool="_other"}`] -
		page[`requests_total{deployment="",outcome="not_found",pool="_other"}`] - page[`requests_total{deployment="",outcome="canceled",pool="_other"}`]
	for _, name := range []string{"request_duration_seconds_count", "overhead_seconds_count"} {
		if got := page.sum(name); got != ended {
			t.Errorf("%s: got %v, want one for each of the %v requests that came to a pool", name, got, ended)
		}
	}
	if reached := float64(asked.Load()); reached > float64(attempts) || reached < float64(attempts)/2 {
		t.Errorf("got %d attempts, and the servers were asked %v times", attempts, reached)
	}
	for _, outcome := range []string{"ok", "canceled", "connection", "overloaded", "timeout", "bad_request", "not_found"} {
		if found := page.ending(outcome); found == 0 {
			t.Errorf("got no request that ended as %s among %d: the test is not mixed", outcome, n)
		}
	}
	if hedges := page.sum("hedges_total"); hedges == 0 || hedges > page.sum("attempts_total") {
		t.Errorf("got %v hedges of %d attempts, want some", hedges, attempts)
	}
	t.Logf("%v requests, %d attempts, %v hedges, %d failures of deployments", page.sum("requests_total"), attempts, page.sum("hedges_total"), failures)
}

// ending is how many requests ended in a way.
func (p page) ending(outcome string) (total float64) {
	for name, n := range p {
		if strings.HasPrefix(name, "requests_total{") && strings.Contains(name, `outcome="`+outcome+`"`) {
			total += n
		}
	}
	return total
}
