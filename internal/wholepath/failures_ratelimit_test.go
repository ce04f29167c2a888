package wholepath

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// limited is a 429 with one header.
func limited(name, value string) scripted.Step {
	return scripted.Reply(429, http.Header{name: {value}}, `{"error":{"message":"Slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}`)
}

// Whoever is alone waits as long as the upstream says, in any of its spellings,
// and tries again.
func TestRateLimitAloneWaitsAndRetries(t *testing.T) {
	reset := func(v string) scripted.Step {
		return scripted.Reply(429, http.Header{"X-Ratelimit-Remaining-Requests": {"0"}, "X-Ratelimit-Reset-Requests": {v}}, `{}`)
	}
	tests := []struct {
		name string
		step func() scripted.Step
		wait time.Duration
	}{
		{"seconds", func() scripted.Step { return limited("Retry-After", "1") }, time.Second},
		{"fraction of a second", func() scripted.Step { return limited("Retry-After", "0.3") }, 300 * time.Millisecond},
		{"HTTP date", func() scripted.Step {
			return limited("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
		}, 900 * time.Millisecond}, // a date has no fraction of a second
		{"milliseconds", func() scripted.Step { return limited("Retry-After-Ms", "300") }, 300 * time.Millisecond},
		{"reset header", func() scripted.Step { return reset("300ms") }, 300 * time.Millisecond},
		{"sentence", func() scripted.Step {
			return scripted.Error(429, "requests", "rate_limit_exceeded", "Rate limit reached. Please try again in 300ms.")
		}, 300 * time.Millisecond},
		{"Google's detail", func() scripted.Step {
			return scripted.Reply(429, nil, `{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED",`+
				`"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0.3s"}]}}`)
		}, 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := scripted.New(t)
			s := routerWith(t, alone(a, "")) // before the step, whose date must not be old
			a.Then(tt.step())
			ask(t, s, chatPath, plain).served(t, "ok", "a", 2, 0)
			all := a.Requests()
			if len(all) != 2 {
				t.Fatalf("got %d requests, want 2", len(all))
			}
			if waited := all[1].At.Sub(all[0].At); waited < tt.wait || waited > tt.wait+4*time.Second {
				t.Errorf("got the retry after %v, want %v or a little more", waited, tt.wait)
			}
		})
	}
}

func TestRateLimitWithoutAWaitRetriesByBackoff(t *testing.T) {
	a := scripted.New(t).Then(scripted.Reply(429, nil, "{}"))
	s := routerWith(t, alone(a, ""))
	ask(t, s, chatPath, plain).served(t, "ok", "a", 2, 0)
	if e := lines(s, "attempt failed, deployment cools down"); len(e) != 0 {
		t.Errorf("got %v, want no cooldown: there is nothing better to go to", e)
	}
}

func TestRateLimitFailsOverWithoutWaiting(t *testing.T) {
	a, b := scripted.New(t).Always(limited("Retry-After", "20")), scripted.New(t)
	s := routerWith(t, twoInOrder(a, b, ""))
	g := ask(t, s, chatPath, plain)
	g.served(t, "ok", "b", 2, 0)
	if g.took > 5*time.Second {
		t.Errorf("took %v, want no wait", g.took)
	}
	if _, length := cooled(t, s); length != 20*time.Second {
		t.Errorf("got a cooldown of %v, want the 20s that a asked for", length)
	}
}

func TestRateLimitWithAFallback(t *testing.T) {
	t.Run("a short wait is waited for", func(t *testing.T) {
		a, b := scripted.New(t).Then(limited("Retry-After-Ms", "300")), scripted.New(t)
		s := routerWith(t, withFallback(a, b, ""))
		ask(t, s, chatPath, plain).served(t, "ok", "a", 2, 0)
		counts(t, "b", b, 0)
	})
	t.Run("a long wait is not", func(t *testing.T) {
		a, b := scripted.New(t).Always(limited("Retry-After", "6")), scripted.New(t)
		s := routerWith(t, withFallback(a, b, ""))
		for n := range 3 {
			g := ask(t, s, chatPath, plain)
			attempts := 2
			if n > 0 { // a is known to be limited
				attempts = 1
			}
			g.served(t, "ok", "b", attempts, 1)
			if g.took > 4*time.Second {
				t.Errorf("took %v, want no wait", g.took)
			}
		}
		counts(t, "a", a, 1)
	})
	t.Run("nor is one that nobody states", func(t *testing.T) {
		a, b := scripted.New(t).Always(scripted.Reply(429, nil, "{}")), scripted.New(t)
		s := routerWith(t, withFallback(a, b, ""))
		g := ask(t, s, chatPath, plain)
		g.served(t, "ok", "b", 2, 1)
		if g.took > 3*time.Second {
			t.Errorf("took %v, want no wait", g.took)
		}
		counts(t, "a", a, 1)
	})
}

// A wait beyond max_wait is not waited for: the client gets the upstream's own
// answer, and after it, without a round trip, the router's.
func TestRateLimitBeyondMaxWait(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			a := scripted.New(t).Always(limited("Retry-After", "90"))
			s := routerWith(t, alone(a, ""))
			g := ask(t, s, d.path, d.request)
			if g.status != 429 || !strings.Contains(g.body, "Slow down") || g.header.Get("Retry-After") != "90" || g.header.Get("X-Should-Retry") != "true" {
				t.Errorf("got %d %q %v, want the upstream's 429", g.status, g.body, g.header)
			}
			g.by(t, "a", 1, 0)
			g = ask(t, s, d.path, d.request)
			d.checkError(t, g, 429)
			checkRetryAfter(t, g, 80*time.Second, 90*time.Second)
			if g.took > 5*time.Second {
				t.Errorf("took %v, want an answer at once", g.took)
			}
			counts(t, "a", a, 1)
		})
	}
}

// Whole seconds, rounded up, beside the exact time.
func TestRetryAfterIsRoundedUp(t *testing.T) {
	a := scripted.New(t).Always(limited("Retry-After-Ms", "61500"))
	s := routerWith(t, alone(a, ""))
	if g := ask(t, s, chatPath, plain); g.status != 429 || g.header.Get("Retry-After") != "62" || g.header.Get("Retry-After-Ms") != "61500" {
		t.Errorf("got %d, Retry-After %q, Retry-After-Ms %q; want 429, 62 and 61500",
			g.status, g.header.Get("Retry-After"), g.header.Get("Retry-After-Ms"))
	}
	checkRetryAfter(t, ask(t, s, chatPath, plain), 51*time.Second, 61500*time.Millisecond)
}

func TestEvery429And503SaysWhenToComeBack(t *testing.T) {
	for _, status := range []int{429, 503} {
		a := scripted.New(t).Always(scripted.Reply(status, nil, "{}"))
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s := routerWith(t, alone(a, "retries 0"))
			g := ask(t, s, chatPath, plain)
			if g.status != status || g.body != "{}" || g.header.Get("X-Should-Retry") != "true" {
				t.Errorf("got %d %q %v, want the upstream's %d", g.status, g.body, g.header, status)
			}
			checkRetryAfter(t, g, time.Millisecond, 10*time.Second)
		})
	}
}

// checkRetryAfter checks that both headers say a wait between two bounds, one in
// whole seconds, rounded up.
func checkRetryAfter(t *testing.T, g got, low, high time.Duration) {
	t.Helper()
	ms, err := strconv.ParseInt(g.header.Get("Retry-After-Ms"), 10, 64)
	exact := time.Duration(ms) * time.Millisecond
	if err != nil || exact < low || exact > high {
		t.Errorf("Retry-After-Ms: got %q, want %v to %v", g.header.Get("Retry-After-Ms"), low, high)
	}
	// The exact wait is in whole milliseconds too, so both round the same one.
	if got, want := g.header.Get("Retry-After"), (ms+999)/1000; got != strconv.FormatInt(want, 10) && got != strconv.FormatInt(want+1, 10) {
		t.Errorf("Retry-After: got %q, want %d for %v", got, want, exact)
	}
	if got := g.header.Get("X-Should-Retry"); got != "true" {
		t.Errorf("X-Should-Retry: got %q, want true", got)
	}
}
