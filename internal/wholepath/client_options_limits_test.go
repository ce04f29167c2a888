package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What requests may set for themselves: retries, time and tags.

// quickly are retries that take no time and are never out of budget.
const quickly = `retries 2 {
	backoff 1ms 2ms
	budget 100% 100
	timeout 1
}`

func TestClientSetsRetries(t *testing.T) {
	s, f := newFour(t, allClientOptions+"\ntimeout 200ms\n"+quickly)
	down := scripted.Error(500, "", "", "down")
	f.q.Always(down)
	for _, tt := range []struct {
		name, fields string
		header       []string
		step         scripted.Step
		first, rest  int // attempts in p and in q, which has the configured retries
	}{
		{name: "unset", fields: `"n":1`, step: down, first: 3, rest: 3},
		{name: "null", fields: `"num_retries":null`, step: down, first: 3, rest: 3},
		{name: "none", fields: `"num_retries":0`, step: down, first: 1, rest: 3},
		{name: "more", fields: `"num_retries":5`, step: down, first: 6, rest: 3},
		{name: "of an overload", fields: `"num_retries":1`, step: scripted.Error(503, "", "", "busy"), first: 2, rest: 3},
		{name: "in a header", fields: `"n":1`, header: []string{"X-Litellm-Num-Retries", "1"}, step: down, first: 2, rest: 3},
		{name: "in both, where the body's holds", fields: `"num_retries":0`, header: []string{"X-Litellm-Num-Retries", "4"}, step: down, first: 1, rest: 3},
		{name: "by a client that retries by itself", fields: `"num_retries":5`, header: []string{"X-Stainless-Retry-Count", "1"}, step: down, first: 1, rest: 1},
		// Trying the same again is of no use.
		{name: "of a wrong key", fields: `"num_retries":5`, step: scripted.Error(401, "", "", "wrong key"), first: 1, rest: 3},
		{name: "of an empty account", fields: `"num_retries":5`, step: scripted.Error(402, "", "", "no credit"), first: 1, rest: 3},
		{name: "of an unknown model", fields: `"num_retries":5`, step: scripted.Error(404, "", "model_not_found", "The model does not exist"), first: 1, rest: 3},
		{name: "of a long prompt", fields: `"num_retries":5`, step: tooLong, first: 1, rest: 3},
		{name: "of a timeout, which has the configured one", fields: `"num_retries":5`, step: scripted.Hang(), first: 2, rest: 3},
		{name: "of a filtered prompt", fields: `"num_retries":5`, step: filtered, first: 1},
		{name: "of a bad request", fields: `"num_retries":5`, step: badRequest, first: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, rest := f.p.Count(), f.q.Count()
			f.p.Always(tt.step)
			ask(t, s, chatPath, with(tt.fields), tt.header...)
			if first, rest = f.p.Count()-first, f.q.Count()-rest; first != tt.first || rest != tt.rest {
				t.Errorf("got %d attempts in the pool and %d in its fallback, want %d and %d", first, rest, tt.first, tt.rest)
			}
		})
	}
}

// strict cools a deployment for its first failure.
const strict = allClientOptions + "\nretries 0\ncooldown 1m {\n failure_rate 1% 1\n}\n"

func TestClientLimitsNeverCool(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		header     []string
	}{
		{"timeout", with(`"timeout":0.2`), nil},
		{"timeout of a stream", with(`"timeout":0.2,"stream":true`), nil},
		{"request_timeout", with(`"request_timeout":0.2`), nil},
		{"stream_timeout", with(`"stream_timeout":0.1,"stream":true`), nil},
		{"stream_timeout within a timeout", with(`"stream_timeout":0.1,"timeout":0.3,"stream":true`), nil},
		{"X-Litellm-Timeout", plain, []string{"X-Litellm-Timeout", "0.2"}},
		{"X-Litellm-Stream-Timeout", streamed, []string{"X-Litellm-Stream-Timeout", "0.1"}},
		{"the shorter of two", with(`"timeout":60`), []string{"X-Stainless-Timeout", "0.2"}},
		{"the shorter of two, the other way", with(`"timeout":0.2`), []string{"X-Stainless-Timeout", "60"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(scripted.HeadersThenHang(200, nil)), scripted.New(t)
			s := routerWith(t, twoInOrder(a, b, strict))
			for range 2 {
				g := ask(t, s, chatPath, tt.body, tt.header...)
				g.served(t, "ok", "b", 2, 0)
				if g.took > 5*time.Second {
					t.Errorf("took %v, want about the client's limit", g.took)
				}
			}
			counts(t, "a", a, 2)
			if e := lines(s, "attempt failed"); len(e) != 2 || e[0].Fields["error_class"] != "timeout" {
				t.Errorf("got %v, want two failures of class timeout that cool nothing", e)
			}
		})
	}
}

func TestClientLimitsOnlyShorten(t *testing.T) {
	for _, tt := range []struct{ name, policy, body string }{
		{"first_token_timeout", "first_token_timeout 200ms", with(`"stream_timeout":60,"stream":true`)},
		{"timeout of a stream", "timeout 200ms", with(`"stream_timeout":60,"stream":true`)},
		{"timeout", "timeout 200ms", with(`"timeout":60`)},
		{"deadline", "deadline 400ms", with(`"timeout":60,"stream_timeout":60,"stream":true`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t)
			s := routerWith(t, twoInOrder(a, b, strict+tt.policy))
			g := ask(t, s, chatPath, tt.body)
			g.served(t, "ok", "b", 2, 0)
			if g.took > 5*time.Second {
				t.Errorf("took %v, want about the configured limit", g.took)
			}
			cooled(t, s) // the limit was not the client's
		})
	}
	t.Run("stream_timeout is for streams", func(t *testing.T) {
		a, b := scripted.New(t).Always(scripted.After(300*time.Millisecond, scripted.OK("late"))), scripted.New(t)
		s := routerWith(t, twoInOrder(a, b, strict))
		ask(t, s, chatPath, with(`"stream_timeout":0.1`)).served(t, "late", "a", 1, 0)
	})
	t.Run("to a timeout without an answer", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Hang())
		s := routerWith(t, alone(a, strict))
		g := ask(t, s, chatPath, with(`"timeout":0.2`))
		if g.status != http.StatusGatewayTimeout || g.field("error.code") != "upstream_timeout" {
			t.Errorf("got %d %s, want 504", g.status, g.body)
		}
	})
}

func TestClientSetsTags(t *testing.T) {
	u := scripted.New(t)
	config := strings.ReplaceAll(`
		client_options %s
		tags {http.request.header.X-Kind}
		pool p {
			deployment fast URL {
				tags fast
			}
			deployment slow URL {
				tags slow night
			}
			deployment other URL {
				tags default
			}
		}`, "URL", u.URL)
	for _, tt := range []struct {
		name, fields string
		header       []string
		allowed      string // the deployment, where tags may be set
	}{
		{"none", `"n":1`, nil, "other"},
		{"tags", `"tags":["slow"]`, nil, "slow"},
		{"several", `"tags":["x","night"]`, nil, "slow"},
		{"unknown", `"tags":["x"]`, nil, "other"},
		{"empty ones", `"tags":[""," "]`, nil, "other"},
		{"with space", `"tags":[" fast "]`, nil, "fast"},
		{"in metadata", `"metadata":{"tags":["fast"]}`, nil, "fast"},
		{"in metadata before others", `"metadata":{"tags":["fast"]},"tags":["x"]`, nil, "fast"},
		{"in metadata after others", `"tags":["x"],"metadata":{"tags":["fast"]}`, nil, "fast"},
		{"in metadata of another kind", `"metadata":{"tags":"fast"}`, nil, "other"},
		{"in metadata that is none", `"metadata":7`, nil, "other"},
		{"in the header", `"n":1`, []string{"X-Litellm-Tags", "x, fast"}, "fast"},
		{"in the header and the body", `"tags":["x"]`, []string{"X-Litellm-Tags", "fast"}, "fast"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Run("allowed", func(t *testing.T) {
				s := routerWith(t, fmt.Sprintf(config, "tags"))
				ask(t, s, chatPath, with(tt.fields), tt.header...).served(t, "ok", tt.allowed, 1, 0)
			})
			t.Run("not allowed", func(t *testing.T) {
				s := routerWith(t, fmt.Sprintf(config, "retries"))
				ask(t, s, chatPath, with(tt.fields), tt.header...).served(t, "ok", "other", 1, 0)
				ask(t, s, chatPath, with(tt.fields), append(tt.header, "X-Kind", "night")...).served(t, "ok", "slow", 1, 0)
			})
		})
	}
	t.Run("beside the configured ones", func(t *testing.T) {
		s := routerWith(t, fmt.Sprintf(config, "tags"))
		ask(t, s, chatPath, with(`"tags":["x"]`), "X-Kind", "fast").served(t, "ok", "fast", 1, 0)
	})
}
