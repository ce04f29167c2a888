package wholepath

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// What LiteLLM's suite asserts of deployments of teams, of orders and of health
// checks, on this router.

// asTeam asks pool model for a team, and gives the deployment that answered or
// the status of the refusal.
func asTeam(t *testing.T, s *caddyharness.Server, model, team string) string {
	t.Helper()
	g := ask(t, s, chatPath, `{"model":"`+model+`","messages":[]}`, "X-Team", team)
	if g.status != http.StatusOK {
		return fmt.Sprint(g.status)
	}
	return g.header.Get("X-Llm-Deployment")
}

func TestTeamsPublicModels(t *testing.T) {
	const byHeader = "team {header.X-Team}\nretries 0\ncooldown off\n"
	t.Run("siblings of one team's public model are all candidates and share the load", func(t *testing.T) {
		one, two, shared := good(t, "one"), good(t, "two"), good(t, "shared")
		s := routerWith(t, byHeader+pool("p", "", dep{"one", one, "team blue"}, dep{"shared", shared, ""}, dep{"two", two, "team blue"}))
		for range 200 {
			asTeam(t, s, "p", "blue")
		}
		if one.Count() < 60 || two.Count() < 60 || shared.Count() != 0 {
			t.Errorf("got %d, %d and %d shared of 200, want halves and none", one.Count(), two.Count(), shared.Count())
		}
		one.Always(scripted.Error(500, "server_error", "", "no"))
		for range 20 { // and are what a failover goes to
			if got := asTeam(t, s, "p", "blue"); got != "two" {
				t.Fatalf("got %s, want two", got)
			}
		}
		counts(t, "shared", shared, 0)
	})
	t.Run("a colliding public name never leads to another team's deployment", func(t *testing.T) {
		red, blue := bad(t), good(t, "blue")
		s := routerWith(t, byHeader+pool("p", "", dep{"red", red, "team red"}, dep{"blue", blue, "team blue"}))
		for team, want := range map[string]string{"red": "500", "blue": "blue", "green": "404", "": "404"} {
			if got := asTeam(t, s, "p", team); got != want {
				t.Errorf("team %q: got %s, want %s", team, got, want)
			}
		}
		counts(t, "red", red, 1)
		counts(t, "blue", blue, 1)
	})
	t.Run("global deployments stay reachable", func(t *testing.T) {
		s := routerWith(t, byHeader+
			pool("p", "", dep{"shared", good(t, "shared"), ""}, dep{"blue", good(t, "blue"), "team blue"})+
			pool("q", "", dep{"global", good(t, "global"), ""}))
		for _, test := range []struct{ model, team, want string }{
			{"q", "blue", "global"},
			{"q", "green", "global"},
			{"q", "", "global"},
			// A team with deployments of its own for a model uses only those; the
			// others, and whoever has no team, use what is everybody's.
			{"p", "green", "shared"},
			{"p", "", "shared"},
			{"p", "blue", "blue"},
		} {
			for range 5 {
				if got := asTeam(t, s, test.model, test.team); got != test.want {
					t.Fatalf("%s for team %q: got %s, want %s", test.model, test.team, got, test.want)
				}
			}
		}
	})
	t.Run("looked up by index, not by scan", func(t *testing.T) {
		var all []*selection.Candidate
		for i := range 10_000 {
			all = append(all, &selection.Candidate{ID: fmt.Sprint(i), State: new(selection.State), Cooldown: health.New(nil), Teams: []string{fmt.Sprint("team ", i%100)}})
		}
		p := engine.NewPool("p", all)
		first := p.For("team 42")
		if len(first) != 100 || first[0].ID != "42" || first[99].ID != "9942" {
			t.Fatalf("got %d deployments, want the team's 100", len(first))
		}
		// A scan would have to collect them somewhere else each time.
		if again := p.For("team 42"); &again[0] != &first[0] {
			t.Error("got another list, want the one that is kept")
		}
		if n := testing.AllocsPerRun(10, func() { p.For("team 42"); p.For("nobody") }); n != 0 {
			t.Errorf("got %v allocations, want none", n)
		}
	})
}

// LiteLLM needs enable_pre_call_checks off to show it; here orders never
// depended on checks.
func TestOrdersByTier(t *testing.T) {
	t.Run("tier after tier, gaps and the order of the config notwithstanding", func(t *testing.T) {
		three, one, alsoOne, two := good(t, "three"), bad(t), bad(t), bad(t)
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"three", three, "order 30"}, dep{"one", one, ""}, dep{"two", two, "order 7"}, dep{"also-one", alsoOne, "order 1"}))
		ask(t, s, chatPath, plain).served(t, "from three", "three", 4, 0)
		for name, u := range map[string]*scripted.Upstream{"one": one, "also-one": alsoOne, "two": two} {
			counts(t, name, u, 1)
		}
		all := three.Requests()
		if !two.Last(t).At.After(one.Last(t).At) || !two.Last(t).At.After(alsoOne.Last(t).At) || !all[0].At.After(two.Last(t).At) {
			t.Error("a later tier was asked before an earlier one was used up")
		}
	})
	t.Run("tried tiers are not tried again, also where all fail", func(t *testing.T) {
		one, two, three := bad(t), bad(t), bad(t)
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"one", one, ""}, dep{"two", two, "order 2"}, dep{"three", three, "order 3"}))
		g := ask(t, s, chatPath, plain)
		g.by(t, "three", 3, 0)
		if g.status != 500 {
			t.Errorf("got status %d, want three's 500", g.status)
		}
		for name, u := range map[string]*scripted.Upstream{"one": one, "two": two, "three": three} {
			counts(t, name, u, 1)
		}
	})
	t.Run("a tier that is out is empty rather than everything", func(t *testing.T) {
		// In LiteLLM a target order that nothing had left meant every deployment,
		// and so the one that had just failed.
		one := scripted.New(t).Always(scripted.Error(500, "server_error", "", "no"))
		two := scripted.New(t).Always(limited("Retry-After", "60"))
		q := good(t, "q")
		s := routerWith(t, "retries 0\n"+
			pool("p", "fallback q", dep{"one", one, ""}, dep{"two", two, "order 2"})+pool("q", "", dep{"q", q, ""}))
		ask(t, s, chatPath, plain).served(t, "from q", "q", 3, 1)
		ask(t, s, chatPath, plain).served(t, "from q", "q", 2, 1)
		counts(t, "one", one, 2)
		counts(t, "two", two, 1)
	})
	t.Run("a first tier that cools makes the second the lowest", func(t *testing.T) {
		one, two := scripted.New(t).Always(limited("Retry-After", "60")), good(t, "two")
		s := routerWith(t, "retries 0\n"+twoInOrder(one, two, ""))
		ask(t, s, chatPath, plain).served(t, "from two", "b", 2, 0)
		ask(t, s, chatPath, plain).served(t, "from two", "b", 1, 0)
		counts(t, "one", one, 1)
	})
}

// LiteLLM keeps what its health checks found in a cache, and believes it for two
// intervals. Here a check's verdict holds until the next one, which is never
// later than its interval and timeout, so nothing goes stale; the cases that
// must change nothing are a check that is off and one that has not told yet.
func TestHealthCheckRouting(t *testing.T) {
	const checked = "health_uri /health\nhealth_interval 20ms"
	// checks answers health checks with a status, and requests well.
	checks := func(t *testing.T, name string, status int) *scripted.Upstream {
		return scripted.New(t).Always(healthAnswer(name, status))
	}
	t.Run("the unhealthy one is left out", func(t *testing.T) {
		a, b := checks(t, "a", 503), checks(t, "b", 200)
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, checked}, dep{"b", b, "order 2\n" + checked}))
		eventually(t, "a to be left out", 5*time.Second, func() bool { return asTeam(t, s, "p", "") == "b" })
		for range 10 {
			ask(t, s, chatPath, plain).served(t, "from b", "b", 1, 0)
		}
	})
	t.Run("the safety net never excludes all", func(t *testing.T) {
		a, b := checks(t, "a", 200), checks(t, "b", 503)
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, "order 2\n" + checked}, dep{"b", b, checked}))
		eventually(t, "b to be left out", 5*time.Second, func() bool { return asTeam(t, s, "p", "") == "a" })
		a.Always(healthAnswer("a", 503))
		eventually(t, "b to be used all the same", 5*time.Second, func() bool { return asTeam(t, s, "p", "") == "b" })
	})
	t.Run("no check changes nothing", func(t *testing.T) {
		a, b := checks(t, "a", 503), checks(t, "b", 200)
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, ""}, dep{"b", b, "order 2"}))
		for range 10 {
			ask(t, s, chatPath, plain).served(t, "from a", "a", 1, 0)
		}
	})
	t.Run("a check that has not told yet changes nothing", func(t *testing.T) {
		a, b := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				scripted.Hang()(w, r)
				return
			}
			scripted.OK("from a")(w, r)
		}), good(t, "b")
		s := routerWith(t, "retries 0\n"+pool("p", "", dep{"a", a, checked}, dep{"b", b, "order 2"}))
		a.WaitCount(t, 1) // the check
		for range 10 {
			ask(t, s, chatPath, plain).served(t, "from a", "a", 1, 0)
		}
	})
}

// healthAnswer answers health checks with a status, and requests with a name.
func healthAnswer(name string, status int) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.WriteHeader(status)
			return
		}
		scripted.OK("from "+name)(w, r)
	}
}
