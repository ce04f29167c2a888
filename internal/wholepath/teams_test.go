package wholepath

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Whose deployments are whose, and that nobody sees, reaches or learns of those
// of another team.

// crew is a router's upstreams by the name that its configuration calls them.
type crew map[string]*scripted.Upstream

// fill puts upstreams in place of words in capitals in a configuration.
func (c crew) fill(t *testing.T, config string) string {
	t.Helper()
	for _, name := range []string{"SHARED1", "SHARED2", "RED1", "RED2", "BLUE", "OTHER"} {
		if c[name] == nil {
			c[name] = scripted.New(t)
		}
		config = strings.ReplaceAll(config, name, c[name].URL)
	}
	return config
}

// none checks that upstreams have had no request.
func (c crew) none(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		counts(t, name, c[name], 0)
	}
}

const mixedPool = `
	team {http.request.header.X-Team}
	retries 0
	cooldown off
	pool p nick {
		deployment shared-1 SHARED1
		deployment red-1 RED1 {
			team red
		}
		deployment shared-2 SHARED2
		deployment red-2 RED2 {
			team red purple
		}
		deployment blue BLUE {
			team blue
		}
	}`

func TestDeploymentsOfATeamShareItsRequests(t *testing.T) {
	for _, tt := range []struct {
		team  string
		among []string
	}{
		{"red", []string{"RED1", "RED2"}},
		{"purple", []string{"RED2"}},
		{"blue", []string{"BLUE"}},
		{"", []string{"SHARED1", "SHARED2"}},
		{"green", []string{"SHARED1", "SHARED2"}},
	} {
		t.Run("of team "+tt.team, func(t *testing.T) {
			ups := crew{}
			s := routerWith(t, ups.fill(t, mixedPool))
			const n = 400
			for range n {
				ask(t, s, chatPath, plain, "X-Team", tt.team)
			}
			share := 1 / float64(len(tt.among))
			bound := 5 * math.Sqrt(n*share*(1-share)) // five sigma of a binomial distribution
			for name, u := range ups {
				want := 0.0
				if slices.Contains(tt.among, name) {
					want = n * share
				}
				if got := float64(u.Count()); math.Abs(got-want) > bound {
					t.Errorf("%s has had %v requests, want %v within %.0f", name, got, want, bound)
				}
			}
		})
	}
}

func TestTeamsFailOverAmongTheirOwn(t *testing.T) {
	down := scripted.Error(500, "", "", "down")
	ups := crew{}
	s := routerWith(t, ups.fill(t, mixedPool))
	t.Run("to a sibling", func(t *testing.T) {
		ups["RED1"].Always(down)
		for range 20 {
			if g := ask(t, s, chatPath, plain, "X-Team", "red"); g.status != 200 || g.header.Get("X-LLM-Deployment") != "red-2" {
				t.Errorf("got %d from %q, want 200 from red-2", g.status, g.header.Get("X-LLM-Deployment"))
			}
		}
	})
	t.Run("and not to the shared ones", func(t *testing.T) {
		ups["RED2"].Always(down)
		if g := ask(t, s, chatPath, plain, "X-Team", "red"); g.status != 500 || g.header.Get("X-LLM-Attempts") != "2" {
			t.Errorf("got %d after %s attempts, want 500 after 2", g.status, g.header.Get("X-LLM-Attempts"))
		}
	})
	ups.none(t, "SHARED1", "SHARED2", "BLUE")
	t.Run("nor the other way", func(t *testing.T) {
		red := ups["RED1"].Count() + ups["RED2"].Count()
		ups["SHARED1"].Always(down)
		ups["SHARED2"].Always(down)
		if g := ask(t, s, chatPath, plain); g.status != 500 || g.header.Get("X-LLM-Attempts") != "2" {
			t.Errorf("got %d after %s attempts, want 500 after 2", g.status, g.header.Get("X-LLM-Attempts"))
		}
		if n := ups["RED1"].Count() + ups["RED2"].Count(); n != red {
			t.Errorf("the team's deployments have had %d more requests, want none", n-red)
		}
	})
	ups.none(t, "BLUE")
}

func TestCoolingDeploymentsOfATeamAreNotReplaced(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, strings.Replace(mixedPool, "cooldown off", "cooldown 1m", 1)))
	ups["BLUE"].Always(scripted.Reply(429, http.Header{"Retry-After": {"30"}}, `{"error":{"message":"slow down"}}`))
	for range 3 {
		if g := ask(t, s, chatPath, plain, "X-Team", "blue"); g.status != 429 {
			t.Errorf("got %d %s, want 429", g.status, g.body)
		}
	}
	counts(t, "BLUE", ups["BLUE"], 1)
	ups.none(t, "SHARED1", "SHARED2", "RED1", "RED2")
	ask(t, s, chatPath, plain) // others do not feel it
	ask(t, s, chatPath, plain, "X-Team", "red")
}

const secretPools = `
	team {http.request.header.X-Team}
	client_options fallbacks
	retries 0
	pool p {
		deployment shared SHARED1
	}
	pool hidden hidden-alias {
		deployment red RED1 {
			team red
		}
	}
	pool vault/* {
		deployment red RED2 {
			team red
		}
	}`

// outsiders are teams that are not red, however they try.
var outsiders = []string{
	"", "blue", "RED", "red,blue", "blue,red", "re", "redd", "*", "red*", "'red'", `"red"`, "red;", "réd", "%72ed", `\x72ed`,
	"{http.request.header.X-Other}", "{env.RED}", "{", "}", "{}", "null", strings.Repeat("red", 2000),
}

func TestOtherTeamsPoolsAreLikeNone(t *testing.T) {
	t.Setenv("RED", "red")
	ups := crew{}
	s := routerWith(t, ups.fill(t, secretPools))
	// anonymous is all that an answer says, but for the name that was asked for.
	anonymous := func(g got, name string) string {
		header := g.header.Clone()
		for _, name := range []string{"Date", "Content-Length"} {
			header.Del(name)
		}
		return fmt.Sprint(g.status, header, strings.ReplaceAll(g.body, name, "NAME"))
	}
	for _, team := range outsiders {
		header := []string{"X-Team", team, "X-Other", "red"}
		for _, name := range []string{"hidden", "hidden-alias", "vault/x", "vault/*", "vault/"} {
			label := fmt.Sprintf("team %.40q, model %s: ", team, name)
			for _, path := range []string{chatPath, completionsPath, responsesPath, messagesPath, ollamaChatPath, "/v1/embeddings"} {
				g := ask(t, s, path, fmt.Sprintf(`{"model":%q}`, name), header...)
				if none := ask(t, s, path, `{"model":"nope"}`, header...); anonymous(g, name) != anonymous(none, "nope") || g.status != 404 {
					t.Errorf("%s%s: got %s, want as for none: %s", label, path, anonymous(g, name), anonymous(none, "nope"))
				}
			}
			g := send(t, s, http.MethodGet, "/v1/models/"+name, "", nil, header...)
			if none := send(t, s, http.MethodGet, "/v1/models/nope", "", nil, header...); anonymous(g, name) != anonymous(none, "nope") || g.status != 404 {
				t.Errorf("%s/v1/models: got %s, want as for none: %s", label, anonymous(g, name), anonymous(none, "nope"))
			}
			upgrade := append(header, "Connection", "Upgrade", "Upgrade", "websocket")
			if g := send(t, s, http.MethodGet, "/v1/realtime?model="+name, "", nil, upgrade...); g.status != 404 {
				t.Errorf("%supgrade: got %d %s, want 404", label, g.status, g.body)
			}
			g = ask(t, s, chatPath, with(fmt.Sprintf(`"fallbacks":[%q]`, name)), header...)
			if none := ask(t, s, chatPath, with(`"fallbacks":["nope"]`), header...); anonymous(g, name) != anonymous(none, "nope") || g.status != 400 {
				t.Errorf("%sfallbacks: got %s, want as for none: %s", label, anonymous(g, name), anonymous(none, "nope"))
			}
		}
		if got := idsOf(send(t, s, http.MethodGet, "/v1/models", "", nil, header...)); !slices.Equal(got, []string{"p"}) {
			t.Errorf("team %.40q: got the models %v, want p", team, got)
		}
	}
	ups.none(t, "RED1", "RED2")
	for _, name := range []string{"hidden", "hidden-alias", "vault/x"} { // it is there
		ask(t, s, chatPath, fmt.Sprintf(`{"model":%q}`, name), "X-Team", "red").served(t, "ok", "red", 1, 0)
	}
}

// A header that is sent twice is no team, rather than one of the two.
func TestTeamInTwoHeaders(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, secretPools))
	for _, teams := range [][]string{{"red", "red"}, {"blue", "red"}, {"red", ""}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL(chatPath), strings.NewReader(`{"model":"hidden"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Team"] = teams
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("teams %q: got %d, want 404", teams, resp.StatusCode)
		}
	}
	ups.none(t, "RED1", "RED2")
}

// Where a wildcard serves any name, one that another team's pool has is no
// different.
func TestOtherTeamsNamesFitWildcards(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, secretPools+`
		pool * {
			deployment any OTHER
		}`))
	for _, name := range []string{"hidden", "hidden-alias", "vault/x", "nope"} {
		g := ask(t, s, chatPath, fmt.Sprintf(`{"model":%q}`, name), "X-Team", "blue")
		if g.served(t, "ok", "any", 1, 0); g.header.Get("X-LLM-Pool") != "*" {
			t.Errorf("%s: got pool %q, want *", name, g.header.Get("X-LLM-Pool"))
		}
		if g := send(t, s, http.MethodGet, "/v1/models/"+name, "", nil, "X-Team", "blue"); g.status != 200 {
			t.Errorf("%s: got %d %s from /v1/models, want 200", name, g.status, g.body)
		}
	}
	counts(t, "OTHER", ups["OTHER"], 4)
	ups.none(t, "RED1", "RED2")
	ask(t, s, chatPath, `{"model":"hidden"}`, "X-Team", "red").served(t, "ok", "red", 1, 0)
}

func TestFallbacksDoNotLeadToOtherTeams(t *testing.T) {
	down := scripted.Error(500, "", "", "down")
	for _, tt := range []struct {
		name, router, pool string
		step               scripted.Step
	}{
		{"fallback", "", "fallback hidden", down},
		{"fallback by an alias", "", "fallback hidden-alias", down},
		{"fallback by a wildcard", "", "fallback vault/x", down},
		{"fallback of the router", "fallback hidden", "", down},
		{"default_fallback", "default_fallback hidden", "", down},
		{"context_window_fallback", "", "context_window_fallback hidden", tooLong},
		{"content_policy_fallback", "", "content_policy_fallback hidden", filtered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ups := crew{}
			config := strings.Replace(secretPools, "retries 0", "retries 0\ncooldown off\n"+tt.router, 1)
			config = strings.Replace(config, "deployment shared SHARED1", "deployment shared SHARED1\n"+tt.pool, 1)
			s := routerWith(t, ups.fill(t, config))
			ups["SHARED1"].Always(tt.step)
			for _, team := range []string{"", "blue"} {
				g := ask(t, s, chatPath, plain, "X-Team", team)
				g.by(t, "shared", 1, 0)
				if g.status == 200 || g.header.Get("X-LLM-Pool") != "p" || strings.Contains(g.body, "hidden") {
					t.Errorf("team %q: got %d %s of pool %q, want the pool's own failure", team, g.status, g.body, g.header.Get("X-LLM-Pool"))
				}
			}
			ups.none(t, "RED1", "RED2")
			ask(t, s, chatPath, plain, "X-Team", "red").served(t, "ok", "red", 2, 1)
		})
	}
	t.Run("default_fallback of an unknown model", func(t *testing.T) {
		ups := crew{}
		s := routerWith(t, ups.fill(t, secretPools+"\ndefault_fallback hidden p"))
		for _, name := range []string{"nope", "hidden", "vault/x"} {
			body := fmt.Sprintf(`{"model":%q}`, name)
			g := ask(t, s, chatPath, body, "X-Team", "blue")
			if g.served(t, "ok", "shared", 1, 0); g.header.Get("X-LLM-Pool") != "p" {
				t.Errorf("%s: got pool %q, want p", name, g.header.Get("X-LLM-Pool"))
			}
		}
		ups.none(t, "RED1", "RED2")
		ask(t, s, chatPath, `{"model":"nope"}`, "X-Team", "red").served(t, "ok", "red", 1, 0)
	})
}

func TestTeamWithoutAValueIsNone(t *testing.T) {
	for name, team := range map[string]string{
		"no authentication": "{http.auth.user.id}", "an empty header": "{http.request.header.X-Team}", "an unknown placeholder": "{nothing.of.the.kind}",
		"not configured": "",
	} {
		t.Run(name, func(t *testing.T) {
			ups := crew{}
			config := strings.Replace(mixedPool, "team {http.request.header.X-Team}", strings.TrimSuffix("team "+team, "team "), 1)
			s := routerWith(t, ups.fill(t, config))
			for range 20 {
				if g := ask(t, s, chatPath, plain, "X-Team", ""); g.status != 200 || !strings.HasPrefix(g.header.Get("X-LLM-Deployment"), "shared") {
					t.Errorf("got %d from %q, want a shared deployment", g.status, g.header.Get("X-LLM-Deployment"))
				}
			}
		})
	}
}
