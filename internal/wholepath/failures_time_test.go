package wholepath

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func TestConnectionFailuresFailOver(t *testing.T) {
	untrusted := scripted.New(t, scripted.WithTLS())
	noTLS := scripted.New(t)
	tests := []struct{ name, address string }{
		{"refused", refusing(t)},
		{"certificate that is not trusted", untrusted.URL},
		{"no TLS spoken", strings.Replace(noTLS.URL, "http:", "https:", 1)},
		{"host without an address", "http://no-such-host.invalid:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := scripted.New(t)
			s := routerWith(t, fmt.Sprintf("pool p {\n deployment a %s\n deployment b %s {\n order 2\n }\n}", tt.address, b.URL))
			ask(t, s, chatPath, plain).served(t, "ok", "b", 2, 0)
			ask(t, s, chatPath, plain).served(t, "ok", "b", 2, 0) // counts only
			if e := lines(s, "attempt failed"); len(e) != 2 || e[0].Fields["error_class"] != "connection" {
				t.Errorf("got %v, want two failures of class connection", e)
			}
		})
	}
	counts(t, "untrusted", untrusted, 0)
	counts(t, "without TLS", noTLS, 0)
}

func TestTimeoutsFailOver(t *testing.T) {
	slow := scripted.CutAfter(1<<20, scripted.After(time.Minute, scripted.OK("late")))
	tests := []struct {
		name, policy, body string
		step               scripted.Step
	}{
		{"timeout without headers", "timeout 200ms", plain, scripted.Hang()},
		{"timeout without a body", "timeout 200ms", plain, scripted.HeadersThenHang(200, nil)},
		{"timeout while an answer is late", "timeout 200ms", plain, slow},
		{"timeout of a stream, where there is no other", "timeout 200ms", streamed, scripted.Hang()},
		{"first_token_timeout without headers", "first_token_timeout 200ms", streamed, scripted.Hang()},
		{"first_token_timeout without a token", "first_token_timeout 200ms", streamed, scripted.HeadersThenHang(200, nil)},
		{"deadline, of which an attempt leaves a quarter", "deadline 2s", plain, scripted.Hang()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(tt.step), scripted.New(t)
			s := routerWith(t, twoInOrder(a, b, tt.policy))
			g := ask(t, s, chatPath, tt.body)
			g.served(t, "ok", "b", 2, 0)
			a.WaitCanceled(t, 1)
			if g.took < 200*time.Millisecond || g.took > 5*time.Second {
				t.Errorf("took %v, want about the limit", g.took)
			}
			if e := lines(s, "attempt failed"); len(e) != 1 || e[0].Fields["error_class"] != "timeout" {
				t.Errorf("got %v, want one failure of class timeout", e)
			}
		})
	}
}

// Caddy looks one name up at a time: those who come later must not wait for all who
// came before them. A client that leaves meanwhile is nobody's failure.
func TestALookupThatHangsIsBoundedToo(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b := scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		timeout 500ms
		pool p {
			deployment a {
				dynamic a {
					name gpu.test
					resolvers %s
				}
			}
			deployment b %s {
				order 2
			}
		}`, silent.LocalAddr(), b.URL))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if g, err := tryAsk(ctx, s, chatPath, plain); err == nil {
		t.Errorf("got %v, want a client that has left", g)
	}
	if e := s.AccessLog(t, 0); e.Fields["status"] != 499.0 || len(lines(s, "attempt failed")) != 0 {
		t.Errorf("got %s and %v, want 499 and no failure", e.Raw, lines(s, "attempt failed"))
	}
	var all sync.WaitGroup
	for range 4 { // more would cool it
		all.Go(func() {
			g, err := tryAsk(t.Context(), s, chatPath, plain)
			if err != nil {
				t.Error(err)
				return
			}
			g.served(t, "ok", "b", 2, 0)
			if g.took > 2*time.Second {
				t.Errorf("took %v, want about the limit", g.took)
			}
		})
	}
	all.Wait()
	if e := lines(s, "attempt failed"); len(e) != 4 || e[0].Fields["error_class"] != "timeout" {
		t.Errorf("got %v, want four failures of class timeout", e)
	}
}

// first_token_timeout is no limit for what does not stream, nor timeout for a
// stream that has its own.
func TestLimitsApplyToTheirKindAlone(t *testing.T) {
	late := scripted.After(400*time.Millisecond, scripted.OK("late"))
	a, b := scripted.New(t).Always(late), scripted.New(t)
	for _, tt := range []struct{ name, policy, body string }{
		{"plain", "first_token_timeout 100ms", plain},
		{"streamed", "timeout 100ms\nfirst_token_timeout 10s", streamed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := routerWith(t, twoInOrder(a, b, tt.policy))
			g := ask(t, s, chatPath, tt.body)
			g.served(t, "late", "a", 1, 0)
		})
	}
}

func TestADeadlineEndsAllAttempts(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Hang()), scripted.New(t).Always(scripted.Hang())
	t.Run("of the policy", func(t *testing.T) {
		s := routerWith(t, twoInOrder(a, b, "deadline 800ms"))
		g := ask(t, s, chatPath, plain)
		dialects[0].checkError(t, g, 504)
		if g.took < 700*time.Millisecond || g.took > 4*time.Second {
			t.Errorf("took %v, want about 800ms", g.took)
		}
		counts(t, "a", a, 1)
		counts(t, "b", b, 1)
	})
	for _, header := range []string{"X-Stainless-Timeout", "X-Stainless-Read-Timeout"} {
		t.Run("of the client, in "+header, func(t *testing.T) {
			s := routerWith(t, twoInOrder(a, b, ""))
			g := ask(t, s, chatPath, plain, header, "0.8")
			dialects[0].checkError(t, g, 504)
			if g.took > 4*time.Second {
				t.Errorf("took %v, want about 800ms", g.took)
			}
			if e := lines(s, "attempt failed, deployment cools down"); len(e) != 0 {
				t.Errorf("got cooldowns %v for a limit that the client set, want none", e)
			}
		})
	}
}

// What was tried in one pool must not make the next one forget to leave time.
func TestADeadlineLeavesTimeInTheFallbackPool(t *testing.T) {
	a := scripted.New(t).Always(scripted.Error(500, "", "", "down"))
	b, c := scripted.New(t).Always(scripted.Hang()), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		retries 0
		deadline 2s
		pool p {
			deployment a %s
			fallback q
		}
		pool q {
			deployment b %s
			deployment c %s {
				order 2
			}
		}`, a.URL, b.URL, c.URL))
	ask(t, s, chatPath, plain).served(t, "ok", "c", 3, 1)
}

func TestCooldownEndsHalfOpen(t *testing.T) {
	a, b := scripted.New(t), scripted.New(t).Always(scripted.OK("from b"))
	a.Then(limited("Retry-After-Ms", "300"), scripted.After(time.Second, scripted.OK("from a"))).Always(scripted.OK("from a"))
	s := routerWith(t, twoInOrder(a, b, ""))
	ask(t, s, chatPath, plain).served(t, "from b", "b", 2, 0)
	ask(t, s, chatPath, plain).served(t, "from b", "b", 1, 0) // a cools
	counts(t, "a", a, 1)

	// The first request that reaches a after its cooldown is the probe.
	probe := make(chan got, 1)
	eventually(t, "the probe", 5*time.Second, func() bool {
		go func() {
			g, _ := tryAsk(context.Background(), s, chatPath, plain)
			if g.header.Get("X-LLM-Deployment") == "a" {
				probe <- g
			}
		}()
		time.Sleep(50 * time.Millisecond)
		return a.Count() > 1
	})
	var others sync.WaitGroup
	for range 5 {
		others.Go(func() {
			if g, err := tryAsk(context.Background(), s, chatPath, plain); err != nil || g.header.Get("X-LLM-Deployment") != "b" {
				t.Errorf("got an answer of %q, error %v; want one of b while a is probed", g.header.Get("X-LLM-Deployment"), err)
			}
		})
	}
	others.Wait()
	counts(t, "a", a, 2)
	(<-probe).served(t, "from a", "a", 1, 0)
	ask(t, s, chatPath, plain).served(t, "from a", "a", 1, 0)
	if e := lines(s, "deployment recovered"); len(e) != 1 || e[0].Fields["deployment"] != "a" {
		t.Errorf("got log lines %v, want that a recovered, once", e)
	}
}

func TestAFailedProbeLengthensTheCooldown(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.Error(429, "", "rate_limit_exceeded", "no")), scripted.New(t)
	s := routerWith(t, twoInOrder(a, b, "cooldown 100ms {\n growth 2 300ms\n}"))
	for n, want := range []time.Duration{100, 200, 300, 300} {
		eventually(t, "the next failure of a", 5*time.Second, func() bool {
			ask(t, s, chatPath, plain)
			return a.Count() > n
		})
		if _, length := cooled(t, s); length != want*time.Millisecond {
			t.Errorf("cooldown %d: got %v, want %v", n, length, want*time.Millisecond)
		}
	}
}

// A client that goes away is no failure of anybody's.
func TestClientGoesAway(t *testing.T) {
	steps := map[string]scripted.Step{
		"before headers":  scripted.Hang(),
		"before a token":  scripted.HeadersThenHang(200, nil),
		"inside a stream": scripted.StallAfter(scripted.ChatEvents("p", "a", "b")[:2]...),
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			caddyharness.NoLeaks(t)
			a, b := scripted.New(t).Always(step), scripted.New(t)
			s := routerWith(t, twoInOrder(a, b, "resume on"))
			for n := range 6 { // more than the failures that would cool
				leave := inBackground(t, s, chatPath, streamed)
				a.WaitCount(t, n+1)
				leave()
				left := time.Now()
				a.WaitCanceled(t, n+1)
				if took := time.Since(left); took > 3*time.Second {
					t.Errorf("the upstream saw the cancel after %v, want it at once", took)
				}
				s.AccessLog(t, n)
			}
			counts(t, "a", a, 6)
			counts(t, "b", b, 0)
			for _, msg := range []string{"attempt failed", "attempt failed, deployment cools down", "request failed"} {
				if e := lines(s, msg); len(e) != 0 {
					t.Errorf("got %d lines %q, want none: %s", len(e), msg, e[0].Raw)
				}
			}
			if name != "inside a stream" {
				if status := s.AccessLog(t, 0).Fields["status"]; status != 499.0 {
					t.Errorf("got status %v in the access log, want 499", status)
				}
			}
			a.Always(scripted.OK("back"))
			ask(t, s, chatPath, plain).served(t, "back", "a", 1, 0)
		})
	}
	t.Run("while a retry waits", func(t *testing.T) {
		a := scripted.New(t).Always(limited("Retry-After", "30"))
		s := routerWith(t, alone(a, ""))
		leave := inBackground(t, s, chatPath, plain)
		a.WaitIdle(t)
		a.WaitCount(t, 1)
		left := time.Now()
		leave()
		s.AccessLog(t, 0)
		if took := time.Since(left); took > 3*time.Second {
			t.Errorf("the request ended %v after the client left, want at once", took)
		}
		counts(t, "a", a, 1)
	})
}

// Nobody's key is in any line, at any level. The access log is Caddy's: it
// hides Authorization and shows the client's other headers.
func TestKeysNeverReachTheLog(t *testing.T) {
	a := scripted.New(t).Always(scripted.Error(401, "", "invalid_api_key", "Incorrect API key"))
	b, c, d := scripted.New(t).Always(scripted.ResetBeforeHeaders()), scripted.New(t).Always(scripted.Error(500, "", "", "no")), scripted.New(t)
	s := routerWith(t, fmt.Sprintf(`
		retries 0
		pool p {
			deployment a %s {
				api_key secret-of-a
			}
			deployment b %s?key=secret-of-b {
				order 2
			}
			deployment c %s {
				order 3
				header_up X-Api-Key secret-of-c
			}
			deployment d %s {
				order 4
				api_key secret-of-d x-goog-api-key
			}
			deployment e http://no-such-host.invalid:1/?key=secret-of-e {
				order 5
			}
		}`, a.URL, b.URL, c.URL, d.URL))
	keys := []string{"Authorization", "Bearer client-secret", "X-Api-Key", "client-secret", "Api-Key", "client-secret", "X-Goog-Api-Key", "client-secret"}
	ask(t, s, chatPath, plain, keys...).served(t, "ok", "d", 4, 0)
	d.Always(scripted.ResetBeforeHeaders())
	ask(t, s, chatPath, streamed, keys...)
	if got := a.Last(t).Header.Get("Authorization"); got != "Bearer secret-of-a" {
		t.Errorf("a got Authorization %q, want its key", got)
	}
	if got := b.Last(t).Query.Get("key"); got != "secret-of-b" {
		t.Errorf("b got key %q in its query, want its key", got)
	}
	if got := c.Last(t).Header.Get("X-Api-Key"); got != "secret-of-c" {
		t.Errorf("c got X-Api-Key %q, want its key", got)
	}
	if got := d.Last(t).Header.Get("X-Goog-Api-Key"); got != "secret-of-d" {
		t.Errorf("d got X-Goog-Api-Key %q, want its key", got)
	}
	s.AccessLog(t, 1)
	failed := 0
	for _, e := range s.Logs() {
		access := strings.HasPrefix(e.Logger, "http.log.access")
		if strings.Contains(e.Raw, "secret-of") || strings.Contains(e.Raw, "client-secret") && !access || strings.Contains(e.Raw, "Bearer client-secret") {
			t.Errorf("a key is in the log: %s", e.Raw)
		}
		if e.Msg == "request failed" {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("got %d warnings of a failed request, want one for the second", failed)
	}
}
