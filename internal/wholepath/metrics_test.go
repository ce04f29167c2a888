package wholepath

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// What Prometheus sees of requests, on Caddy's own page.

func TestMetricsOfARequest(t *testing.T) {
	busy := scripted.Error(503, "server_error", "", "busy")
	slowDown := scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s.")
	told := `{"stream_options":{"include_usage":true},` + streamed[1:]
	f := chatFormat
	stream := func(events ...string) scripted.Step { return f.send(5*time.Millisecond, events...) }
	const ttft, tpot = `time_to_first_token_seconds_count{deployment="%s",pool="p"}`, `time_per_output_token_seconds_count{deployment="%s",pool="p"}`
	tests := []struct {
		name  string
		a, b  scripted.Step
		pools func(a, b *scripted.Upstream, policy string) string
		body  string
		want  page
	}{
		{"a good one", scripted.OK("Hi there"), nil, twoInOrder, plain, ended("p", "a", "ok", page{
			attempts("p", "a", "ok"): 1, tokens("p", "a", "input"): 3, tokens("p", "a", "output"): 2,
		})},
		{"cached and reasoning tokens", scripted.Reply(200, nil, `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":30,"completion_tokens":9,
			"prompt_tokens_details":{"cached_tokens":20},"completion_tokens_details":{"reasoning_tokens":4}}}`), nil, twoInOrder, plain, ended("p", "a", "ok", page{
			attempts("p", "a", "ok"): 1, tokens("p", "a", "input"): 30, tokens("p", "a", "output"): 9,
			tokens("p", "a", "cached"): 20, tokens("p", "a", "reasoning"): 4,
		})},
		{"streamed", stream(withUsage(f.events("one ", "two"))...), nil, twoInOrder, told, ended("p", "a", "ok", page{
			attempts("p", "a", "ok"): 1, tokens("p", "a", "input"): 3, tokens("p", "a", "output"): 4,
			fmt.Sprintf(ttft, "a"): 1, fmt.Sprintf(tpot, "a"): 1,
		})},
		{"a stream that does not tell", stream(f.events("one ", "two")...), nil, twoInOrder, streamed, ended("p", "a", "ok", page{
			attempts("p", "a", "ok"): 1, fmt.Sprintf(ttft, "a"): 1,
		})},
		{"malformed events", stream(append([]string{"{not json"}, f.events("one", "two")...)...), nil, twoInOrder, streamed, ended("p", "a", "ok", page{
			attempts("p", "a", "ok"): 1, fmt.Sprintf(ttft, "a"): 1, `dropped_events_total{deployment="a",pool="p"}`: 1,
		})},
		{"failed over", busy, scripted.OK("Hi"), twoInOrder, plain, ended("p", "b", "ok", page{
			attempts("p", "a", "overloaded"): 1, attempts("p", "b", "ok"): 1, tokens("p", "b", "input"): 3, tokens("p", "b", "output"): 1,
		})},
		{"failed over from what cools", slowDown, scripted.OK("Hi"), twoInOrder, plain, ended("p", "b", "ok", page{
			attempts("p", "a", "rate_limit"): 1, attempts("p", "b", "ok"): 1, tokens("p", "b", "input"): 3, tokens("p", "b", "output"): 1,
			`cooldowns_total{class="rate_limit",deployment="a",pool="p"}`: 1,
		})},
		{"fell back", busy, scripted.OK("Hi"), withFallback, plain, ended("q", "b", "ok", page{
			attempts("p", "a", "overloaded"): 1, attempts("q", "b", "ok"): 1, tokens("q", "b", "input"): 3, tokens("q", "b", "output"): 1,
			`fallbacks_total{from="p",reason="overloaded",to="q"}`: 1,
		})},
		{"failed", busy, busy, twoInOrder, plain, ended("p", "b", "overloaded", page{
			attempts("p", "a", "overloaded"): 1, attempts("p", "b", "overloaded"): 1,
		})},
		{"a stream that is cut", f.cut(f.begun("one ", "two")...), nil, twoInOrder, streamed, ended("p", "a", "connection", page{
			attempts("p", "a", "connection"): 1, fmt.Sprintf(ttft, "a"): 1, tokens("p", "a", "input"): 8, tokens("p", "a", "output"): 2,
		})},
		{"a stream that went on elsewhere", f.cut(f.begun("one ")...), stream(withUsage(f.events("one ", "two"))...),
			func(a, b *scripted.Upstream, policy string) string { return twoInOrder(a, b, policy+"\nresume on") },
			told, ended("p", "b", "ok", page{
				attempts("p", "a", "connection"): 1, attempts("p", "b", "ok"): 1, fmt.Sprintf(ttft, "a"): 1, fmt.Sprintf(ttft, "b"): 1, fmt.Sprintf(tpot, "b"): 1,
				tokens("p", "a", "input"): 8, tokens("p", "a", "output"): 1, tokens("p", "b", "input"): 3, tokens("p", "b", "output"): 4,
			})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(tt.a), scripted.New(t)
			if tt.b != nil {
				b.Always(tt.b)
			}
			s := caddyharness.Load(t, observed(tt.pools(a, b, "retries 0")))
			ask(t, s, chatPath, tt.body)
			tt.want.counts(t, s)
		})
	}
}

func TestMetricsOfAClientThatLeaves(t *testing.T) {
	a := scripted.New(t).Always(chatFormat.stall(chatFormat.begun("one ", "two")...))
	s := caddyharness.Load(t, observed(alone(a, "")))
	leave, _ := beginStream(t, s, "two")
	const carrying = `in_flight{deployment="a",pool="p"}`
	if got := scrape(t, s)[carrying]; got != 1 {
		t.Errorf("got %v requests in flight, want the stream", got)
	}
	leave()
	ended("p", "a", "canceled", page{
		attempts("p", "a", "canceled"): 1, tokens("p", "a", "input"): 8, tokens("p", "a", "output"): 2,
		`time_to_first_token_seconds_count{deployment="a",pool="p"}`: 1,
	}).counts(t, s)
	if got := scrape(t, s)[carrying]; got != 0 {
		t.Errorf("got %v requests in flight, want none", got)
	}
}

func TestMetricsOfAnUpgrade(t *testing.T) {
	u := scripted.New(t).Always(upperCaser)
	p := &pair{s: caddyharness.Load(t, observed(alone(u, ""))), u: u, scheme: "http"}
	hangUp := p.converses(t, "a", 1)
	if got := scrape(t, p.s)[`in_flight{deployment="a",pool="p"}`]; got != 1 {
		t.Errorf("got %v requests in flight, want the connection", got)
	}
	hangUp()
	ended("p", "a", "ok", page{attempts("p", "a", "ok"): 1}).counts(t, p.s)
}

// A request that finds nothing to try is one of its pool.
func TestMetricsOfARequestThatNothingIsTriedFor(t *testing.T) {
	a := scripted.New(t).Always(scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s."))
	s := caddyharness.Load(t, observed(alone(a, "retries 0")))
	ask(t, s, chatPath, plain)
	ask(t, s, chatPath, plain)
	want := ended("p", "a", "rate_limit", page{
		attempts("p", "a", "rate_limit"):                              1,
		`cooldowns_total{class="rate_limit",deployment="a",pool="p"}`: 1,
	})
	maps.Copy(want, ended("p", "", "rate_limit", page{`overhead_seconds_count{pool="p"}`: 2}))
	want.counts(t, s)
	if now := scrape(t, s); now[`deployment_state{deployment="a",pool="p",state="cooling"}`] != 1 ||
		now[`deployment_state{deployment="a",pool="p",state="healthy"}`] != 0 {
		t.Errorf("got %v, want a deployment that cools", now.names())
	}
}

// Nothing that a client sends makes a series: what it asks for is counted under a
// name of the router's own.
func TestMetricsHaveNoNamesOfClients(t *testing.T) {
	a := scripted.New(t)
	s := caddyharness.Load(t, observed("max_body 10KB\n"+alone(a, "")+"pool wild/* {\n\tdeployment a "+a.URL+"\n}\n"))
	ask(t, s, chatPath, `{"model":"wild/card"}`) // histograms come with what they observe
	ended("wild/*", "a", "ok", page{
		attempts("wild/*", "a", "ok"): 1, tokens("wild/*", "a", "input"): 3, tokens("wild/*", "a", "output"): 1,
	}).counts(t, s)
	before := scrape(t, s).names()
	for _, body := range []string{
		`{"model":"unknown"}`,
		`{"model":"unknown\nrequests_total{pool=\"p\"} 99"}`,
		`{"model":"p\"} 99"}`,
		`{"model":"` + strings.Repeat("x", 5000) + `"}`,
		`{"model":"` + strings.Repeat("x", 50_000) + `"}`,
		`{"messages":[]}`,
		`{"model":`,
		`{"model":"wild/\"},x=\"y"}`,
		`{"model":"wild/` + strings.Repeat("é", 500) + `"}`,
	} {
		ask(t, s, chatPath, body)
	}
	ask(t, s, chatPath+"/../x", plain)
	ask(t, s, chatPath+"?model=a&model=b", `{}`)
	want := ended("wild/*", "a", "ok", page{
		`requests_total{deployment="a",outcome="ok",pool="wild/*"}`:         3,
		`request_duration_seconds_count{deployment="a",pool="wild/*"}`:      3,
		`overhead_seconds_count{pool="wild/*"}`:                             3,
		attempts("wild/*", "a", "ok"):                                       3,
		tokens("wild/*", "a", "input"):                                      9,
		tokens("wild/*", "a", "output"):                                     3,
		`requests_total{deployment="",outcome="not_found",pool="_other"}`:   2,
		`requests_total{deployment="",outcome="bad_request",pool="_other"}`: 7,
	})
	want.counts(t, s)
	if after := scrape(t, s).names(); !slices.Equal(before, after) {
		t.Errorf("got the series\n%s\nwant those from before:\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

// Lists of models are no requests to one.
func TestMetricsLeaveListsOut(t *testing.T) {
	s := caddyharness.Load(t, observed(alone(scripted.New(t), "")))
	for _, path := range []string{"/v1/models", "/v1/models/p", "/v1/models/unknown"} {
		send(t, s, http.MethodGet, path, "", nil)
	}
	page{}.counts(t, s)
}

func TestMetricsOverReloads(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.OK("Hi")), scripted.New(t).Always(scripted.OK("Hi"))
	both := fmt.Sprintf("pool p {\n\tdeployment a %s\n}\npool q {\n\tdeployment b %s\n}\n", a.URL, b.URL)
	s := caddyharness.Load(t, observed(both))
	requests := func(pool, deployment string, want float64) {
		t.Helper()
		name := fmt.Sprintf(`requests_total{deployment="%s",outcome="ok",pool="%s"}`, deployment, pool)
		var got float64
		for range 100 {
			if got = scrape(t, s)[name]; got == want {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Errorf("%s: got %v, want %v", name, got, want)
	}
	ask(t, s, chatPath, plain)
	ask(t, s, chatPath, strings.Replace(plain, `"p"`, `"q"`, 1))
	ask(t, s, chatPath, `{"model":"unknown"}`)
	requests("p", "a", 1)

	reload(t, s, observed("deadline 1m\n"+both))
	served(t, s)
	requests("p", "a", 2)
	requests("q", "b", 1)

	if err := s.TryReload(observed("default_fallback nowhere\n" + both + "pool r {\n\tdeployment c " + b.URL + "\n}\n")); err == nil {
		t.Fatal("the config loads")
	}
	served(t, s)
	requests("p", "a", 3)
	requests("q", "b", 1)
	for name := range scrape(t, s) {
		if strings.Contains(name, `"r"`) {
			t.Errorf("got %s, which is of the config that failed", name)
		}
	}

	reload(t, s, observed(alone(a, "")))
	served(t, s)
	requests("p", "a", 4)
	for name := range scrape(t, s) {
		if strings.Contains(name, `"q"`) || strings.Contains(name, `"b"`) {
			t.Errorf("got %s, which no config has any more", name)
		}
	}
	if got := scrape(t, s)[`requests_total{deployment="",outcome="not_found",pool="_other"}`]; got != 1 {
		t.Errorf("got %v requests of no pool, want the 1 from before", got)
	}
}

// A request that a reload overtakes is counted like any other.
func TestMetricsOfARequestThatOutlivesItsConfig(t *testing.T) {
	a := scripted.New(t).Always(scripted.Chat(50*time.Millisecond, strings.SplitAfter(strings.Repeat("word ", 10), " ")...))
	s := caddyharness.Load(t, observed(alone(a, "")))
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	defer cancel()
	done := make(chan error)
	go func() {
		_, err := tryAsk(ctx, s, chatPath, streamed)
		done <- err
	}()
	a.WaitCount(t, 1)
	reload(t, s, observed(alone(a, "deadline 1m")))
	if got := scrape(t, s)[`in_flight{deployment="a",pool="p"}`]; got != 1 {
		t.Errorf("got %v requests in flight, want the one of the config before", got)
	}
	if err := <-done; err != nil {
		t.Errorf("got %v, want an answer", err)
	}
	ended("p", "a", "ok", page{
		attempts("p", "a", "ok"): 1, `time_to_first_token_seconds_count{deployment="a",pool="p"}`: 1,
	}).counts(t, s)
}

// Every handler has its pools, and one of the same name in several is one.
func TestMetricsOfSeveralRouters(t *testing.T) {
	a := scripted.New(t).Always(scripted.OK("Hi"))
	router := ":%d {\n\tllm_router {\n" + alone(a, "") + "\t}\n}\n"
	s := caddyharness.Load(t, observed(alone(a, ""))+fmt.Sprintf(router, 8082)+fmt.Sprintf(router, 8083))
	for _, port := range []string{"8080", "8082", "8083"} {
		send(t, s, http.MethodPost, ":"+port+chatPath, "application/json", strings.NewReader(plain))
	}
	want := ended("p", "a", "ok", page{attempts("p", "a", "ok"): 1, tokens("p", "a", "input"): 1, tokens("p", "a", "output"): 1})
	for name := range want {
		want[name] *= 3
	}
	want[tokens("p", "a", "input")] = 9
	want.counts(t, s)
}
