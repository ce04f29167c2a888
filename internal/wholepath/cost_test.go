package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// pricedPool is a pool p of deployments a and b, of which b has its turn after a.
func pricedPool(a, b *scripted.Upstream, costA, costB, policy string) string {
	return fmt.Sprintf("%s\npool p {\n\tdeployment a %s {\n%s\n}\n\tdeployment b %s {\n\torder 2\n%s\n}\n}\n", policy, a.URL, costA, b.URL, costB)
}

// What a request costs is told everywhere alike: in the header where it is known
// in time, in the access log, to placeholders, in the metrics and in the status.
func TestCostOfRequests(t *testing.T) {
	const cheap, dear, free, none = "cost 0.5 2", "cost 3 15", "cost 0 0", ""
	f := chatFormat
	ok, busy := scripted.OK("Hi there"), scripted.Error(503, "server_error", "", "busy")
	silent := scripted.Reply(200, nil, `{"choices":[{"message":{"content":"x"}}]}`)
	boast := scripted.Reply(200, http.Header{"X-Llm-Cost": {"99"}}, `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
	long := scripted.Reply(200, nil, `{"choices":[{"message":{"content":"`+strings.Repeat("x", 2<<20)+`"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
	stream := f.send(0, withUsage(f.events("one ", "two"))...)
	unknown := any(nil)
	for _, tt := range []struct {
		name         string
		a, b         scripted.Step
		costA, costB string
		policy, body string
		header       string
		cost         any     // of the request
		onA, onB     float64 // of each deployment
	}{
		{"an answer that tells its usage", ok, ok, cheap, dear, "", plain, "0.0000055", 0.0000055, 0.0000055, 0},
		{"of what is free", ok, ok, free, dear, "", plain, "0", 0.0, 0, 0},
		{"of what has no price", ok, ok, none, dear, "", plain, "", unknown, 0, 0},
		{"an answer that does not tell", silent, ok, cheap, dear, "", plain, "", unknown, 0, 0},
		{"the upstream's own account of the cost", boast, ok, cheap, dear, "", plain, "0.0000055", 0.0000055, 0.0000055, 0},
		{"and where there is no price", boast, ok, none, dear, "", plain, "", unknown, 0, 0},
		{"an answer too long to be held", long, ok, cheap, dear, "", plain, "", 0.0000055, 0.0000055, 0},
		{"failed over", busy, ok, cheap, dear, "", plain, "0.000039", 0.000039, 0, 0.000039},
		{"failed over from what has no price", busy, ok, none, dear, "", plain, "0.000039", 0.000039, 0, 0.000039},
		{"failed over to what has no price", busy, ok, cheap, none, "", plain, "", unknown, 0, 0},
		{"failed", busy, busy, cheap, dear, "", plain, "", unknown, 0, 0},
		{"a stream", stream, ok, cheap, dear, "", streamed, "", 0.0000095, 0.0000095, 0},
		{"a stream with a running account", f.send(0, append([]string{usageEvent}, withUsage(f.events("one ", "two"))...)...), ok, cheap, dear, "", streamed, "", 0.0000095, 0.0000095, 0},
		{"a stream that does not tell", f.send(0, f.events("one ", "two")...), ok, cheap, dear, "", streamed, "", unknown, 0, 0},
		{"a stream that is cut", f.cut(f.begun("one ", "two")...), ok, cheap, dear, "", streamed, "", 0.000008, 0.000008, 0},
		{"a stream that went on elsewhere", f.cut(f.begun("one ")...), stream, cheap, dear, "resume on", streamed, "", 0.000075, 0.000006, 0.000069},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(tt.a), scripted.New(t).Always(tt.b)
			pools := pricedPool(a, b, tt.costA, tt.costB, "retries 0\n"+tt.policy)
			s := caddyharness.Load(t, logged(pools)+":8081 {\n\tmetrics\n}\n", caddyharness.WithAdmin())
			g := ask(t, s, chatPath, tt.body)
			if got := strings.Join(g.header["X-Llm-Cost"], ", "); got != tt.header {
				t.Errorf("got the header %q, want %q", got, tt.header)
			}
			line := s.AccessLog(t, 0)
			fields, _ := line.Fields["llm_router"].(map[string]any)
			if fields["cost"] != tt.cost {
				t.Errorf("got %v in the access log, want %v", fields["cost"], tt.cost)
			}
			placeholder := tt.cost
			if tt.cost == unknown {
				placeholder = ""
			}
			if got := line.Fields["x_cost"]; got != placeholder {
				t.Errorf("got the placeholder %v, want %v", got, placeholder)
			}
			metrics := scrape(t, s)
			for _, d := range []struct {
				id, price string
				want      float64
			}{{"a", tt.costA, tt.onA}, {"b", tt.costB, tt.onB}} {
				got, there := metrics[`cost_dollars_total{deployment="`+d.id+`",pool="p"}`]
				if !there || selection.RoundCost(got) != d.want {
					t.Errorf("deployment %s: got %v in the metrics, there: %t; want %v", d.id, got, there, d.want)
				}
				switch cost := deploymentOf(t, s, "p", d.id).Cost; {
				case d.price == none && cost != nil:
					t.Errorf("deployment %s: got a cost of %v in the status, want none without a price", d.id, *cost)
				case d.price != none && (cost == nil || *cost != d.want):
					t.Errorf("deployment %s: got a cost of %v in the status, want %v", d.id, cost, d.want)
				}
			}
		})
	}
}

// A number of dollars is written as a person writes it: without an exponent,
// however small it is.
func TestCostHasNoExponent(t *testing.T) {
	a := scripted.New(t).Always(scripted.OK("Hi there"))
	s := caddyharness.Load(t, logged(pricedPool(a, a, "cost 0.000001 0", "", "")))
	g := ask(t, s, chatPath, plain)
	const want = "0.000000000003"
	if got := g.header.Get("X-LLM-Cost"); got != want {
		t.Errorf("got the header %q, want %q", got, want)
	}
	raw := s.AccessLog(t, 0).Raw
	for _, field := range []string{`"cost":` + want, `"x_cost":` + want} {
		if !strings.Contains(raw, field) {
			t.Errorf("got the access log %s, want %s in it", raw, field)
		}
	}
}

// What a request costs is not every client's business.
func TestCostIsKeptFromClients(t *testing.T) {
	a := scripted.New(t).Always(scripted.OK("Hi there"))
	s := caddyharness.Load(t, ":8080 {\n\theader -X-LLM-Cost\n\tllm_router {\n"+pricedPool(a, a, "cost 1 1", "", "")+"\t}\n}\n")
	g := ask(t, s, chatPath, plain)
	g.served(t, "Hi there", "a", 1, 0)
	if cost, there := g.header["X-Llm-Cost"]; there {
		t.Errorf("got the header %q, want it taken off", cost)
	}
}
