package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// configOf is a config whose only handler is a router of these pools.
func configOf(pools string) string {
	return ":8080 {\n\tlog\n\tllm_router {\n" + pools + "\n\t}\n}\n"
}

// served asks for the pool p and tells which deployment answered. A connection that
// comes right after a reload may still find the server before it, which closes it.
func served(t testing.TB, s *caddyharness.Server) string {
	t.Helper()
	var g got
	var err error
	for range 5 {
		s.Client().CloseIdleConnections()
		if g, err = tryAsk(t.Context(), s, chatPath, plain); err == nil {
			break
		}
	}
	switch {
	case err != nil:
		t.Fatal(err)
	case g.status != http.StatusOK:
		return fmt.Sprint(g.status)
	}
	return g.header.Get("X-Llm-Deployment")
}

func TestCooldownSurvivesReload(t *testing.T) {
	a := scripted.New(t).Then(scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s.")).Always(scripted.OK("Hi."))
	b := scripted.New(t).Always(scripted.OK("Hi."))
	pools := twoInOrder(a, b, "")
	s := routerWith(t, pools)
	if got := served(t, s); got != "b" {
		t.Fatalf("got an answer of %s, want one of b after a's refusal", got)
	}
	for name, config := range map[string]string{
		"the same config":  pools,
		"another policy":   "deadline 1m\n" + pools,
		"another cooldown": "cooldown 1s\n" + pools,
		"a new deployment": strings.Replace(pools, "\tdeployment b", "\tdeployment c "+b.URL+" {\n\t\torder 3\n\t}\n\tdeployment b", 1),
	} {
		s.Reload(t, configOf(config))
		if got := served(t, s); got != "b" || a.Count() != 1 {
			t.Errorf("%s: got an answer of %s and %d requests of a, want a left alone", name, got, a.Count())
		}
	}
	t.Run("but not a change of what it is", func(t *testing.T) {
		s.Reload(t, configOf(strings.Replace(pools, a.URL, a.URL+" {\n\t\tmodel other\n\t\torder 1\n\t}", 1)))
		if got := served(t, s); got != "a" {
			t.Errorf("got an answer of %s, want one of a, whose model is another", got)
		}
	})
	t.Run("nor cooldown off", func(t *testing.T) {
		s.Reload(t, configOf("cooldown off\n"+pools))
		if got := served(t, s); got != "a" {
			t.Errorf("got an answer of %s, want one of a", got)
		}
	})
}

func TestLimitsSurviveReload(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.OK("Hi.")), scripted.New(t).Always(scripted.OK("Hi."))
	pools := func(rpm int) string {
		return fmt.Sprintf("pool p {\n\tdeployment a %s {\n\t\trpm %d\n\t}\n\tdeployment b %s {\n\t\torder 2\n\t}\n}", a.URL, rpm, b.URL)
	}
	s := routerWith(t, pools(2))
	for i, want := range []string{"a", "a", "b"} {
		if got := served(t, s); got != want {
			t.Fatalf("request %d: got an answer of %s, want %s", i, got, want)
		}
	}
	s.Reload(t, configOf(pools(2)))
	if got := served(t, s); got != "b" {
		t.Errorf("got an answer of %s, want b: a's minute is not over", got)
	}
	s.Reload(t, configOf(pools(3)))
	for i, want := range []string{"a", "b"} {
		if got := served(t, s); got != want {
			t.Errorf("request %d with the raised limit: got an answer of %s, want %s", i, got, want)
		}
	}
}

// A config that does not load leaves everything as it was, also what it would
// have shared with the one that goes on.
func TestFailingReloadHarmsNothing(t *testing.T) {
	a := scripted.New(t).Then(scripted.Error(429, "rate_limit", "rate_limit_exceeded", "Slow down. Try again in 60s.")).Always(scripted.OK("Hi."))
	b := scripted.New(t).Always(scripted.OK("Hi."))
	pools := twoInOrder(a, b, "")
	s := routerWith(t, pools)
	served(t, s)
	for name, broken := range map[string]string{
		"a pool that does not exist": "default_fallback nowhere\ncooldown off\n" + pools,
		"a key that is not set":      "cooldown off\n" + pools + "pool q {\n\tdeployment d " + b.URL + " {\n\t\tapi_key {env.LLM_ROUTER_TEST_UNSET}\n\t}\n}\n",
		"another app that fails":     pools + "}\n}\n:8081 {\n\ttls /nowhere/cert.pem /nowhere/key.pem\n\thandle {\n",
	} {
		if err := s.TryReload(configOf(broken)); err == nil {
			t.Fatalf("%s: the config loads", name)
		}
		if got := served(t, s); got != "b" || a.Count() != 1 {
			t.Errorf("%s: got an answer of %s and %d requests of a, want a left alone", name, got, a.Count())
		}
	}
}

// A stream goes on over reloads, and its place is taken until its end.
func TestStreamsSurviveReload(t *testing.T) {
	a := scripted.New(t).Always(scripted.Chat(100*time.Millisecond, strings.Split(strings.Repeat("word ", 20), " ")...))
	b := scripted.New(t).Always(scripted.OK("Hi."))
	pools := fmt.Sprintf("pool p {\n\tdeployment a %s {\n\t\tmax_parallel 1\n\t}\n\tdeployment b %s {\n\t\torder 2\n\t}\n}", a.URL, b.URL)
	s := routerWith(t, pools)
	done := make(chan got)
	go func() {
		g, err := tryAsk(t.Context(), s, chatPath, streamed)
		g.err = err
		done <- g
	}()
	a.WaitCount(t, 1)
	for range 3 {
		s.Reload(t, configOf(pools))
		if got := served(t, s); got != "b" {
			t.Errorf("got an answer of %s, want b: a is full", got)
		}
	}
	g := <-done
	if g.err != nil || !strings.HasSuffix(g.body, "data: [DONE]\n\n") {
		t.Errorf("got %q and error %v, want the whole stream", g.body, g.err)
	}
	a.Always(scripted.OK("Hi."))
	if got := served(t, s); got != "a" {
		t.Errorf("got an answer of %s, want a: its place is free", got)
	}
}
