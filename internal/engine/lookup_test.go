package engine

import (
	"context"
	"fmt"
	"testing"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// What a request costs does not depend on how many pools and teams there are.

// landscape is a router of many pools, each with two deployments for each of
// many teams and one for everybody else.
func landscape(t testing.TB, pools, teamCount int) *Router {
	t.Helper()
	r := new(Router)
	for i := range pools {
		candidates := []*selection.Candidate{deployment("shared")}
		for team := range teamCount {
			for n := range 2 {
				candidates = append(candidates, deployment(fmt.Sprintf("team-%d-%d", team, n), teams(fmt.Sprint("team-", team))))
			}
		}
		if taken, ok := r.Directory.Add(newPool(fmt.Sprint("model-", i), candidates...), fmt.Sprint("alias-", i)); !ok {
			t.Fatalf("%q is taken", taken)
		}
	}
	if _, ok := r.Directory.Add(newPool("openai/*", deployment("shared"))); !ok {
		t.Fatal("the wildcard is taken")
	}
	return r
}

var lookups = []struct {
	model string
	ok    bool
}{{"model-0", true}, {"alias-0", true}, {"openai/gpt-4o", true}, {"nothing", false}}

func TestLookupsAreIndexed(t *testing.T) {
	r := landscape(t, 1000, 10)
	for _, lookup := range lookups {
		t.Run(lookup.model, func(t *testing.T) {
			looked := 0
			target, ok := r.Directory.resolve(lookup.model, func(p *Pool) bool { looked++; return p.Serves("team-7") })
			if ok != lookup.ok || looked > 1 {
				t.Errorf("found %v after a look at %d pools, want %v after 1 at most", ok, looked, lookup.ok)
			}
			if ok && target.Pool.Name == "model-0" {
				if n := len(target.Pool.For("team-7")); n != 2 {
					t.Errorf("%d deployments to choose from, want the team's 2 of 21", n)
				}
			}
			allocs := testing.AllocsPerRun(1000, func() { r.Resolve(lookup.model, "team-7") })
			if allocs > 0 && !raceEnabled {
				t.Errorf("%v allocations for a look-up, want 0", allocs)
			}
		})
	}
	t.Run("a whole request", func(t *testing.T) {
		req, x, ctx := &Request{Model: "model-500", Team: "team-7"}, new(instant), context.Background()
		if n := testing.AllocsPerRun(1000, func() { serve(ctx, r, req, x) }); n > 0 && !raceEnabled {
			t.Errorf("%v allocations, want 0", n)
		}
	})
}

func TestResolveForPassesOverOtherTeamsPools(t *testing.T) {
	var d Directory
	d.Add(newPool("a", deployment("x", teams("red"))), "alias", "w/*")
	d.Add(newPool("w/x-*", deployment("x", teams("red"))))
	for _, test := range []struct{ name, team, want string }{
		{"a", "red", "a"},
		{"alias", "red", "a"},
		{"w/x-1", "red", "w/x-*"},
		{"w/1", "red", "a"},
		{"a", "blue", ""},
		{"alias", "", ""},
		{"w/x-1", "blue", ""},
		{"w/1", "", ""},
	} {
		if got, ok := d.ResolveFor(test.name, test.team); ok != (test.want != "") || ok && got.Pool.Name != test.want {
			t.Errorf("%q for team %q: got %+v, %v; want %q", test.name, test.team, got.Pool, ok, test.want)
		}
	}
	d.Add(newPool("*", deployment("x")))
	for _, name := range []string{"a", "alias", "w/x-1", "w/1", "other"} {
		got, ok := d.ResolveFor(name, "blue")
		if !ok || got.Pool.Name != "*" || got.Star != name || got.Model != name {
			t.Errorf("%q: got %+v, %v; want the wildcard with the name", name, got, ok)
		}
	}
}

func TestRequestWithFallbacksOfItsOwnHasNoDefaults(t *testing.T) {
	for own, want := range map[bool]string{false: "a/x b/x", true: "a/x c/x"} {
		bubble(t, fmt.Sprint("own fallbacks: ", own), func(t *testing.T) {
			pools := chain("a", "b", "c")
			r := routerOf(t, pools)
			r.Directory.Default = to(pools["a"], pools["b"])
			req := &Request{Model: "nothing", FallbacksSet: own}
			if own {
				req.Fallbacks = to(pools["c"])
			}
			x := script(map[string][]step{"a/x": broken, "b/x": broken})
			serve(t.Context(), r, req, x)
			x.want(t, want)
		})
	}
}

// Compare the numbers for 1 pool of 1 team with those for 1000 of 10.
func BenchmarkLookup(b *testing.B) {
	for _, size := range [][2]int{{1, 1}, {1000, 10}} {
		r := landscape(b, size[0], size[1])
		for _, lookup := range lookups {
			b.Run(fmt.Sprintf("%s of %d pools for %d teams", lookup.model, size[0], size[1]), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, ok := r.Resolve(lookup.model, "team-0"); ok != lookup.ok {
						b.Fatalf("found %v, want %v", ok, lookup.ok)
					}
				}
			})
		}
	}
}
