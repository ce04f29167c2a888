package engine

import (
	"context"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// timed is a strategy that goes by latency, or would.
type timed struct{ inOrder }

func (timed) Timed() {}

// Where nobody goes by it, it is not kept.
func TestAttemptsAreNotTimedForNobody(t *testing.T) {
	bubble(t, "a strategy that has no use for it", func(t *testing.T) {
		c := deployment("a")
		serve(t.Context(), newRouter(t, newPool("m", c)), &Request{Model: "m"}, script(map[string][]step{"m/a": {fails(retry.ServerError)}}))
		if first, _ := c.Latency.FirstToken(time.Now(), 0); first != 0 {
			t.Errorf("got %v to the first token, want nothing", first)
		}
	})
}

// What an attempt came to is what strategies expect of the next one.
func TestAttemptsAreTimed(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	tokens := usage.Usage{State: usage.Reported, Output: 101}
	for _, test := range []struct {
		name            string
		step            step
		timeout         time.Duration // the client's own
		leaves          time.Duration // when the client does
		first, perToken time.Duration
	}{
		{name: "a stream", step: step{takes: 11 * s, deliver: Outcome{Streamed: true, FirstToken: s, Usage: tokens}}, first: s, perToken: 100 * ms},
		{name: "a stream of unknown length", step: step{takes: 11 * s, deliver: Outcome{Streamed: true, FirstToken: s}}, first: s},
		{name: "an estimate", step: step{takes: 11 * s, deliver: Outcome{Streamed: true, FirstToken: s, Usage: usage.Usage{State: usage.Estimated, Output: 101}}}, first: s},
		{name: "an answer that came whole", step: step{takes: 11 * s, deliver: Outcome{FirstToken: 10100 * ms, Usage: tokens}}, perToken: 100 * ms},
		{name: "an answer without tokens", step: step{takes: 11 * s, deliver: Outcome{FirstToken: 10 * s}}, first: 10 * s},
		{name: "nobody has measured", step: takes(time.Minute)},
		{name: "a fast failure", step: fails(retry.ServerError), first: s},
		{name: "a slow failure", step: step{takes: 20 * s, Outcome: Outcome{Class: retry.Overloaded}}, first: 20 * s},
		{name: "a stream that is cut", step: step{takes: 3 * s, deliver: Outcome{Class: retry.Connection, Final: true, Streamed: true, FirstToken: ms}}, first: 3 * s},
		{name: "a request that is wrong", step: fails(retry.BadRequest)},
		{name: "a failure that is nobody's", step: step{Outcome: Outcome{Class: retry.NotFound, Blameless: true}}},
		{name: "a client that leaves", step: takes(time.Hour), leaves: 30 * s, first: 30 * s},
		{name: "the client's own limit", step: takes(time.Hour), timeout: 15 * s, first: 15 * s},
	} {
		bubble(t, test.name, func(t *testing.T) {
			c := deployment("a")
			p := newPool("m", c)
			p.Strategy = timed{}
			p.Policy.Retry.Retries = 0
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.leaves > 0 {
				time.AfterFunc(test.leaves, cancel)
			}
			serve(ctx, newRouter(t, p), &Request{Model: "m", Timeout: test.timeout, PromptTokens: 100}, script(map[string][]step{"m/a": {test.step}}))
			first, _ := c.Latency.FirstToken(time.Now(), 100)
			perToken, _ := c.Latency.PerToken(time.Now())
			if first.Round(10*ms) != test.first || perToken.Round(10*ms) != test.perToken {
				t.Errorf("got %v to the first token and %v for each, want %v and %v", first, perToken, test.first, test.perToken)
			}
			idle(t, p)
		})
	}
}

// knowing is a Strategy that hears where requests go, and knows all but ten tokens
// of each prompt.
type knowing struct {
	inOrder
	sent []string
}

func (k *knowing) Sent(q *selection.Query, c *selection.Candidate) int {
	k.sent = append(k.sent, q.Model+"/"+c.ID)
	return 10
}

// A request is carried from when it is sent to the end of its answer, and unread
// until that begins.
func TestRequestsAreCarried(t *testing.T) {
	a, b := deployment("a"), deployment("b")
	p := newPool("m", a, b)
	watcher := new(knowing)
	p.Strategy = watcher
	steps := script(map[string][]step{"m/a": {fails(retry.ServerError)}})
	type carried struct{ tokens, requests, unread int64 }
	look := func(c *selection.Candidate) carried {
		requests, unread := c.Unanswered()
		return carried{c.InFlightTokens(), requests, unread}
	}
	var during []carried
	steps.before = func(at *Attempt) {
		during = append(during, look(at.Candidate))
		if at.Candidate == b {
			at.Answered()
			during = append(during, look(b))
		}
	}
	serve(t.Context(), newRouter(t, p), &Request{Model: "m", PromptTokens: 500}, steps)
	want := []carried{{500, 1, 10}, {500, 1, 10}, {500, 0, 0}}
	for i := range want {
		if i >= len(during) || during[i] != want[i] {
			t.Fatalf("got %v, want %v", during, want)
		}
	}
	if len(watcher.sent) != 2 || watcher.sent[0] != "m/a" || watcher.sent[1] != "m/b" {
		t.Errorf("got told of %v, want m/a and m/b", watcher.sent)
	}
	for _, c := range p.All() {
		if got := look(c); got != (carried{}) {
			t.Errorf("%s carries %v at the end, want nothing", c.ID, got)
		}
	}
}
