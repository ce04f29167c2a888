package clients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	_ "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// Keys: the client's, which only its own provider knows, and those that the
// router has for the deployments.
const (
	keyOfClient = "sk-client"
	keyOfFirst  = "sk-first"
	keyOfSecond = "sk-second"
)

// router is a Caddy in front of all that the clients are tried with.
type router struct {
	*caddyharness.Server
	flaky         *flaky
	first, second *scripted.Upstream
	endless       *scripted.Upstream
}

// pools of the router. A deployment that is called first is the flaky one.
const pools = `
	cooldown off
	retries 2 {
		backoff 1ms 2ms
		budget 100%% 100
	}
	pool gpt-4o chatgpt {
		deployment first %[1]s {
			model provider-model
			api_key sk-first
		}
		deployment second %[2]s {
			model provider-model
			api_key sk-second
			order 2
		}
	}
	pool claude {
		deployment first %[1]s {
			model provider-model
			api_key sk-first x-api-key
		}
		deployment second %[2]s {
			model provider-model
			api_key sk-second x-api-key
			order 2
		}
	}
	pool org/embed {
		deployment first %[1]s {
			model provider-model
			api_key sk-first
		}
		deployment second %[2]s {
			model provider-model
			api_key sk-second
			order 2
		}
	}
	pool endless {
		deployment d %[3]s {
			model provider-model
			api_key sk-first
		}
	}
	pool cut {
		retries 0
		deployment d %[4]s {
			model provider-model
			api_key sk-first
		}
	}
	pool resumed {
		resume on
		deployment cut %[4]s {
			model provider-model
			api_key sk-first
		}
		deployment whole %[2]s {
			model provider-model
			api_key sk-second
			order 2
		}
	}
	pool own-key {
		deployment d %[5]s {
			model provider-model
		}
	}
	pool answers-* {
		retries 0
		deployment d %[6]s {
			model *
		}
	}
	pool slow {
		deployment hangs %[9]s
		deployment d %[2]s {
			model provider-model
			api_key sk-second
			order 2
		}
	}
	pool down {
		deployment d %[7]s
	}
	pool limited {
		retries 0
		deployment d %[8]s {
			model provider-model
			api_key sk-first
		}
	}
`

// startRouter runs the router and its providers until the test ends.
func startRouter(t *testing.T, opts ...caddyharness.Option) *router {
	t.Helper()
	r := &router{flaky: newFlaky(provider(keyOfFirst))}
	r.first = scripted.New(t).Always(r.flaky.serve)
	r.second = scripted.New(t).Always(provider(keyOfSecond))
	r.endless = scripted.New(t).Always(beginning(func(r *http.Request) { <-r.Context().Done() }))
	cut := scripted.New(t).Always(beginning(func(*http.Request) { panic(http.ErrAbortHandler) }))
	own := scripted.New(t).Always(provider(keyOfClient))
	answers := scripted.New(t).Always(refusing)
	down := scripted.New(t).Always(scripted.Reply(503, http.Header{"Retry-After-Ms": {"20"}}, `{"error":{"message":"Down.","type":"server_error","param":null,"code":null}}`))
	limited := scripted.New(t).Always(provider(keyOfFirst)).
		Then(scripted.Reply(429, http.Header{"Retry-After": {"1"}}, `{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`))
	hangs := scripted.New(t).Always(scripted.Hang())
	r.Server = serve(t, fmt.Sprintf(pools, r.first.URL, r.second.URL, r.endless.URL, cut.URL, own.URL, answers.URL, down.URL, limited.URL, hangs.URL),
		append(opts, caddyharness.WithAdmin())...)
	return r
}

// serve runs a Caddy whose only handler is a router of these pools.
func serve(t testing.TB, pools string, opts ...caddyharness.Option) *caddyharness.Server {
	t.Helper()
	return caddyharness.Load(t, ":8080 {\n\tllm_router {\n"+pools+"\n\t}\n}\n", opts...)
}

// check checks what has to hold after all cases of a client.
func (r *router) check(t *testing.T) {
	t.Helper()
	r.failed(t)
	r.keysStay(t)
	r.left(t)
}

// failed checks that the flaky deployment has failed in each of its ways, in many
// cases, or nothing would have been shown.
func (r *router) failed(t *testing.T) {
	t.Helper()
	for i, way := range ways {
		if n := r.flaky.given[i].Load(); n < 5 {
			t.Errorf("the first deployment has failed %d times with %s, want 5 times at least", n, way.name)
		}
	}
}

// keysStay checks that the client's key has not gone to deployments that have
// keys of the router's.
func (r *router) keysStay(t *testing.T) {
	t.Helper()
	for _, request := range append(r.first.Requests(), r.second.Requests()...) {
		for name, values := range request.Header {
			if strings.Contains(strings.Join(values, " "), keyOfClient) {
				t.Errorf("got the client's key in %s at %s of a deployment with a key, want it to stay", name, request.Path)
			}
		}
	}
}

// left checks that each stream that a client has left is over at the provider,
// that nothing is in flight any more, and that it was nobody's failure.
func (r *router) left(t *testing.T) {
	t.Helper()
	streams := r.endless.WaitIdle(t)
	if len(streams) == 0 {
		t.Error("got no stream that a client has left, want some")
	}
	for _, stream := range streams {
		if !stream.Canceled {
			t.Error("got an endless stream that ended by itself, want it canceled")
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		inFlight, failures := r.load(t)
		if failures != 0 {
			t.Errorf("got %d failures of streams that a client has left, want none", failures)
		}
		if inFlight == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %d requests in flight after all clients have left, want none", inFlight)
		}
	}
}

// load is how many requests the deployments carry, and how often the endless one
// has failed, as the status tells.
func (r *router) load(t *testing.T) (inFlight int64, failures uint64) {
	t.Helper()
	resp, err := r.AdminClient(t).Get("http://localhost/llm_router/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s status.Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	var found bool
	for _, pool := range s.Pools {
		for _, d := range pool.Deployments {
			inFlight += d.InFlight
			if pool.Name == "endless" {
				found, failures = true, d.Failures
			}
		}
	}
	if !found {
		t.Fatalf("got a status of %d pools, want that of endless", len(s.Pools))
	}
	return inFlight, failures
}
