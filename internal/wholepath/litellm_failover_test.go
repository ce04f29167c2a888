package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	_ "github.com/llmrouter/caddy-llm-router/internal/litellm"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// LiteLLM's weighted-failover suite, test by test under the names that it has
// there. What is about the exclusion list alone is in the package selection.

// dep is a deployment of a pool: its id, its upstream and what its block says.
type dep struct {
	id    string
	up    *scripted.Upstream
	block string
}

// pool writes a pool of deployments, with what its block says beside them.
func pool(name, block string, deps ...dep) string {
	var b strings.Builder
	fmt.Fprintf(&b, "pool %s {\n%s\n", name, block)
	for _, d := range deps {
		fmt.Fprintf(&b, "\tdeployment %s %s {\n%s\n}\n", d.id, d.up.URL, d.block)
	}
	return b.String() + "}\n"
}

// good and bad are upstreams that answer with their name, and with a 500.
func good(t testing.TB, name string) *scripted.Upstream {
	return scripted.New(t).Always(scripted.OK("from " + name))
}

func bad(t testing.TB) *scripted.Upstream {
	return scripted.New(t).Always(scripted.Error(500, "server_error", "", "simulated failure"))
}

func TestWeightedFailover(t *testing.T) {
	t.Run("test_no_failover_when_flag_off", func(t *testing.T) {
		a, b := bad(t), good(t, "b")
		s := routerWith(t, "retries 0\n"+pool("p", "failover off", dep{"a", a, "weight 1"}, dep{"b", b, "weight 0"}))
		g := ask(t, s, chatPath, plain)
		g.by(t, "a", 1, 0)
		if g.status != 500 || !strings.Contains(g.body, "simulated failure") {
			t.Errorf("got %d %q, want a's own failure", g.status, g.body)
		}
		counts(t, "b", b, 0)
	})
	t.Run("test_failover_lands_on_other_deployment_when_flag_on", func(t *testing.T) {
		a, b := bad(t), good(t, "b")
		// On is the default here.
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, "weight 1"}, dep{"b", b, "weight 0"}))
		ask(t, s, chatPath, plain).served(t, "from b", "b", 2, 0)
		counts(t, "a", a, 1)
	})
	t.Run("test_failover_chain_three_deployments", func(t *testing.T) {
		a, b, c := bad(t), bad(t), good(t, "c")
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, "weight 1000000"}, dep{"b", b, "weight 1"}, dep{"c", c, "weight 0"}))
		// LiteLLM counts each hop as a fallback; here moving on within a pool is none.
		ask(t, s, chatPath, plain).served(t, "from c", "c", 3, 0)
		counts(t, "a", a, 1)
		counts(t, "b", b, 1)
	})
	t.Run("test_failover_exhausted_raises_original_error_class", func(t *testing.T) {
		a, b := bad(t), bad(t)
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, "weight 1"}, dep{"b", b, "weight 0"}))
		g := ask(t, s, chatPath, plain)
		// LiteLLM raises the first failure's class. Here the client gets the last
		// upstream's answer as it was, which says more than a class.
		if g.status != 500 || !strings.Contains(g.body, "simulated failure") {
			t.Errorf("got %d %q, want the last failure", g.status, g.body)
		}
		g.by(t, "b", 2, 0)
		if g.took > 5*time.Second {
			t.Errorf("took %v, want no wait", g.took)
		}
	})
	t.Run("test_failover_falls_through_to_external_fallback", func(t *testing.T) {
		a, b, q := bad(t), bad(t), good(t, "q")
		s := routerWith(t, "retries 0\n"+pool("p", "fallback q", dep{"a", a, "weight 1"}, dep{"b", b, "weight 0"})+pool("q", "", dep{"q", q, ""}))
		ask(t, s, chatPath, plain).served(t, "from q", "q", 3, 1)
		counts(t, "a", a, 1)
		counts(t, "b", b, 1)
	})
	t.Run("test_weights_respected_when_all_healthy", func(t *testing.T) {
		a, b := good(t, "a"), good(t, "b")
		s := routerWith(t, pool("p", "", dep{"a", a, "weight 80"}, dep{"b", b, "weight 20"}))
		for range 1000 {
			if g := ask(t, s, chatPath, plain); g.status != http.StatusOK {
				t.Fatalf("got status %d, want 200", g.status)
			}
		}
		if a.Count() <= 2*b.Count() || b.Count() <= 50 || a.Count()+b.Count() != 1000 {
			t.Errorf("a had %d and b %d of 1000, want a more than twice b, and b more than 50", a.Count(), b.Count())
		}
	})
	t.Run("test_failover_skipped_for_context_window_error", func(t *testing.T) {
		a, b := scripted.New(t).Always(tooLong), good(t, "b")
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, "weight 1"}, dep{"b", b, "weight 0"}))
		g := ask(t, s, chatPath, plain)
		g.by(t, "a", 1, 0)
		if g.status != 400 {
			t.Errorf("got status %d, want a's 400", g.status)
		}
		counts(t, "b", b, 0)
	})
	t.Run("but a context window error moves on to a larger window", func(t *testing.T) { // LiteLLM does not know windows here
		a, b := scripted.New(t).Always(tooLong), good(t, "b")
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, "weight 1\ncontext_window 8192"}, dep{"b", b, "weight 0\ncontext_window 128000"}))
		ask(t, s, chatPath, plain).served(t, "from b", "b", 2, 0)
	})
	t.Run("test_user_config_two_region_failover", func(t *testing.T) {
		east, west := bad(t), good(t, "west")
		s := routerWith(t, pool("p", "retries 0\ncooldown 120s {\nallowed_fails 5\n}", dep{"east", east, "weight 50"}, dep{"west", west, "weight 50"}))
		for range 20 {
			g := ask(t, s, chatPath, plain)
			if g.status != http.StatusOK || !strings.Contains(g.body, "from west") || g.header.Get("X-Llm-Deployment") != "west" {
				t.Fatalf("got %d %q, want 20 of 20 from west", g.status, g.body)
			}
		}
		counts(t, "west", west, 20)
		if n := east.Count(); n > 6 { // the sixth failure cools it
			t.Errorf("east has had %d requests, want at most 6", n)
		}
	})
}

// Which strategies fail over is LiteLLM's to say, and so the adapter's. The
// router itself fails over whatever picks.
func TestWeightedFailoverByStrategy(t *testing.T) {
	for _, test := range []struct {
		name, strategy string
		status, asked  int
	}{
		{"test_failover_skipped_for_non_simple_shuffle", "least-busy", 500, 0},
		{"while simple-shuffle fails over", "simple-shuffle", 200, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := bad(t), good(t, "b")
			adapted, _, err := caddyconfig.GetAdapter("litellm").Adapt(fmt.Appendf(nil, `
model_list:
  - {model_name: p, litellm_params: {model: openai/x, api_base: %s/v1, api_key: k, weight: 1}}
  - {model_name: p, litellm_params: {model: openai/x, api_base: %s/v1, api_key: k, weight: 0}}
router_settings: {num_retries: 0, enable_weighted_failover: true, routing_strategy: %s}
`, a.URL, b.URL, test.strategy), nil)
			if err != nil {
				t.Fatal(err)
			}
			s := caddyharness.Load(t, string(adapted))
			if g := ask(t, s, chatPath, plain); g.status != test.status {
				t.Errorf("got %d %q, want %d", g.status, g.body, test.status)
			}
			counts(t, "a", a, 1)
			counts(t, "b", b, test.asked)
		})
	}
}

// What LiteLLM notes on the exception and in the request's metadata, this router
// keeps with the request; it shows in who is asked, and in the log.
func TestWeightedFailoverRemembersWhatFailed(t *testing.T) {
	t.Run("test_set_failed_deployment_id_on_exception", func(t *testing.T) {
		a, b := bad(t), bad(t)
		s := routerWith(t, twoInOrder(a, b, "retries 0"))
		ask(t, s, chatPath, plain).by(t, "b", 2, 0)
		// There one id has room on the exception, and the first one stays. Here
		// every attempt names its own.
		failed := lines(s, "attempt failed")
		if len(failed) != 2 || failed[0].Fields["deployment"] != "a" || failed[1].Fields["deployment"] != "b" {
			t.Errorf("got failed attempts %v, want one of a and one of b", failed)
		}
	})
	t.Run("test_maybe_run_weighted_failover_returns_none_without_failed_id", func(t *testing.T) {
		a, b := scripted.New(t).Always(limited("Retry-After", "60")), scripted.New(t).Always(limited("Retry-After", "60"))
		s := routerWith(t, twoInOrder(a, b, "retries 0"))
		ask(t, s, chatPath, plain).by(t, "b", 2, 0)
		g := ask(t, s, chatPath, plain) // nothing is picked, so nothing fails
		g.by(t, "", 0, 0)
		checkRetryAfter(t, g, 50*time.Second, time.Minute)
		if g.status != http.StatusTooManyRequests {
			t.Errorf("got status %d, want 429", g.status)
		}
		counts(t, "a", a, 1)
		counts(t, "b", b, 1)
	})
	t.Run("test_maybe_run_weighted_failover_persists_excluded_ids_to_kwargs", func(t *testing.T) {
		a, b, c, d := bad(t), bad(t), bad(t), bad(t)
		// More than one draw, so that chance would show: without exclusions the
		// heaviest would be drawn again on each hop.
		s := routerWith(t, "retries 0\n"+pool("p", "cooldown off", dep{"a", a, "weight 1000"}, dep{"b", b, ""}, dep{"c", c, ""}, dep{"d", d, ""}))
		for n := 1; n <= 4; n++ { // less than what makes a failover a gamble
			if g := ask(t, s, chatPath, plain); g.header.Get("X-Llm-Attempts") != "4" {
				t.Errorf("got %s attempts, want 4", g.header.Get("X-Llm-Attempts"))
			}
			for i, u := range []*scripted.Upstream{a, b, c, d} {
				counts(t, string(rune('a'+i)), u, n)
			}
		}
	})
}

// Deployments that cool are none to fail over to.
func TestWeightedFailoverAroundCooldowns(t *testing.T) {
	// cooling is a pool p whose deployment b, and c where it is limited too, cool
	// by the time that a fails.
	cooling := func(t *testing.T, block, more string, c *scripted.Upstream) (s *caddyharness.Server, a, b *scripted.Upstream) {
		t.Helper()
		a = scripted.New(t).Then(scripted.OK("from a")).Always(scripted.Error(500, "server_error", "", "simulated failure"))
		b = scripted.New(t).Always(limited("Retry-After", "60"))
		deps := []dep{{"b", b, ""}, {"a", a, "order 2"}}
		if c != nil {
			deps = append(deps, dep{"c", c, "order 3"})
		}
		s = routerWith(t, "retries 0\n"+pool("p", block, deps...)+more)
		ask(t, s, chatPath, plain).served(t, "from a", "a", 2, 0)
		return s, a, b
	}
	t.Run("test_maybe_run_weighted_failover_skips_when_remaining_all_in_cooldown", func(t *testing.T) {
		s, a, b := cooling(t, "", "", nil)
		g := ask(t, s, chatPath, plain)
		g.by(t, "a", 1, 0)
		if g.status != 500 || !strings.Contains(g.body, "simulated failure") {
			t.Errorf("got %d %q, want a's failure", g.status, g.body)
		}
		counts(t, "a", a, 2)
		counts(t, "b", b, 1)
	})
	t.Run("test_maybe_run_weighted_failover_proceeds_when_one_healthy_remains", func(t *testing.T) {
		s, a, b := cooling(t, "", "", good(t, "c"))
		ask(t, s, chatPath, plain).served(t, "from c", "c", 2, 0)
		counts(t, "a", a, 2)
		counts(t, "b", b, 1)
	})
	t.Run("test_failover_falls_through_to_external_fallback_when_remaining_in_cooldown", func(t *testing.T) {
		s, a, b := cooling(t, "fallback q", pool("q", "", dep{"q", good(t, "q"), ""}), nil)
		ask(t, s, chatPath, plain).served(t, "from q", "q", 2, 1)
		counts(t, "a", a, 2)
		counts(t, "b", b, 1)
	})
}

// An outage of everything does not multiply its own load: what is offered
// reaches the upstreams once each, beside the budget and the failovers that
// found out.
func TestStormOnAWholePath(t *testing.T) {
	const before, offered = 100, 400
	calm := make(chan struct{})
	step := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-calm:
			scripted.Error(503, "server_error", "", "overloaded")(w, r)
		default:
			scripted.OK("ok")(w, r)
		}
	}
	var deps []dep
	for _, id := range []string{"a", "b", "c"} {
		deps = append(deps, dep{id, scripted.New(t).Always(step), ""})
	}
	// Counts that would cool take away what is to be seen here.
	s := routerWith(t, pool("p", "cooldown off\nretries 2 {\nbackoff 1ms 1ms\n}", deps...))
	total := func() (n int) {
		for _, d := range deps {
			n += d.up.Count()
		}
		return n
	}
	for range before {
		ask(t, s, chatPath, plain)
	}
	close(calm)
	for range offered {
		ask(t, s, chatPath, plain)
	}
	// A fifth of all requests of the last ten seconds, those before included, and
	// at most five failovers to each deployment that were free.
	want := offered + (before+offered)/5 + 5*len(deps)
	if got := total() - before; got > want || got < offered {
		t.Errorf("the upstreams have had %d requests for %d, want at most %d", got, offered, want)
	}
}
