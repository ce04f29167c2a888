package selection

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// The exclusion list of LiteLLM's weighted failover, test by test under the
// names of its suite. There it is a set of ids in the request's metadata; here
// it is Query.Tried, of the deployments themselves.
func TestExclusion(t *testing.T) {
	a, b, c := candidate("a"), candidate("b"), candidate("c")
	pool := []*Candidate{a, b, c}
	for _, test := range []struct {
		name  string
		all   []*Candidate
		tried []*Candidate
		want  string
	}{
		{"test_no_excluded_returns_all", pool, nil, "a b c"},
		{"test_empty_excluded_returns_all", pool, []*Candidate{}, "a b c"},
		{"test_drops_excluded", pool, []*Candidate{b}, "a c"},
		{"test_all_excluded_returns_empty", pool, []*Candidate{c, a, b}, ""},
		// Another deployment of the same id, as one of another pool may have, is
		// unknown here too: it is not the id that is compared.
		{"test_excluded_set_with_unknown_ids", pool, []*Candidate{candidate("z"), candidate("a"), nil, b}, "a c"},
		// LiteLLM cannot exclude a deployment without an id, and so keeps it.
		// Here it needs none.
		{"test_handles_missing_model_info", []*Candidate{candidate(""), a, candidate("")}, []*Candidate{a}, " "},
	} {
		t.Run(test.name, func(t *testing.T) {
			query := Query{Now: noon, Tried: test.tried}
			var got []string
			for _, c := range query.Filter(nil, test.all) {
				got = append(got, c.ID)
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("got %q left, want %q", s, test.want)
			}
		})
	}
	t.Run("a deployment without an id can be excluded", func(t *testing.T) {
		first, second := candidate(""), candidate("")
		query := Query{Now: noon, Tried: []*Candidate{first}}
		if got := query.Filter(nil, []*Candidate{first, second}); len(got) != 1 || got[0] != second {
			t.Errorf("got %d left, want the second alone", len(got))
		}
	})
	t.Run("with every other one out the exclusion still holds", func(t *testing.T) {
		query := Query{Now: noon, Tried: []*Candidate{a}}
		if got := query.Filter(nil, []*Candidate{a, candidate("cooling", cool), candidate("down", down), candidate("full", full)}); len(got) != 0 {
			t.Errorf("got %q left, want nothing", got[0].ID)
		}
	})
	t.Run("an order that is excluded whole gives way to the next, never to itself", func(t *testing.T) {
		second := candidate("second", order(2))
		query := Query{Now: noon, Tried: []*Candidate{a, b}}
		if got := query.Filter(nil, []*Candidate{a, second, b}); len(got) != 1 || got[0] != second {
			t.Errorf("got %d left, want the second order", len(got))
		}
		query.Tried = append(query.Tried, second)
		if got := query.Filter(nil, []*Candidate{a, second, b}); len(got) != 0 {
			t.Errorf("got %d left, want nothing", len(got))
		}
	})
	t.Run("any list leaves exactly the others, in their order", func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 1))
		for range 1000 {
			var all, tried, want []*Candidate
			for range rnd.IntN(8) {
				c := candidate("")
				all = append(all, c)
				if rnd.IntN(2) == 0 {
					tried = append(tried, c)
				} else {
					want = append(want, c)
				}
			}
			rnd.Shuffle(len(tried), func(i, j int) { tried[i], tried[j] = tried[j], tried[i] })
			query := Query{Now: noon, Tried: tried}
			if got := query.Filter(nil, all); !slices.Equal(got, want) {
				t.Fatalf("%d of %d left with %d excluded, want %d", len(got), len(all), len(tried), len(want))
			}
		}
	})
}

// Weights go on to shape what the exclusion leaves, and a deployment without
// one serves when nothing else is left.
func TestExclusionKeepsTheWeightsOfTheRest(t *testing.T) {
	primary, big, small, standby := candidate("primary", weight(60)), candidate("big", weight(30)), candidate("small", weight(10)), candidate("standby")
	all := []*Candidate{primary, big, small, standby}
	rnd := rand.New(rand.NewPCG(7, 7))
	pick := func(tried ...*Candidate) *Candidate {
		query := Query{Now: noon, Tried: tried}
		return Weighted{Random: rnd.Float64}.Pick(&query, query.Filter(nil, all))
	}
	hits := map[*Candidate]int{}
	for range 1000 {
		hits[pick(primary)]++
	}
	if hits[primary] != 0 || hits[standby] != 0 || hits[big] < 680 || hits[big] > 820 {
		t.Errorf("got %d and %d of 1000, and %d and %d for the excluded and the standby; want 3 to 1 and none",
			hits[big], hits[small], hits[primary], hits[standby])
	}
	if got := pick(primary, big, small); got != standby {
		t.Errorf("got %q, want the standby", got.ID)
	}
}

func TestFailing(t *testing.T) {
	c := candidate("a")
	failed := func(n int, at time.Time) {
		for range n {
			c.Failed(at)
		}
	}
	check := func(when string, at time.Time, want bool) {
		t.Helper()
		if got := c.Failing(at); got != want {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
	check("at first", noon, false)
	failed(4, noon)
	check("after four failures", noon, false)
	failed(1, noon.Add(time.Hour))
	check("after a fifth, however late", noon.Add(time.Hour), true)
	check("nearly ten seconds later", noon.Add(time.Hour+10*time.Second-1), true)
	check("ten seconds later", noon.Add(time.Hour+10*time.Second), false)
	failed(1, noon.Add(2*time.Hour))
	check("after one more", noon.Add(2*time.Hour), true)
	c.Answered()
	check("after a good answer", noon.Add(2*time.Hour), false)
	failed(4, noon.Add(2*time.Hour))
	check("after four more", noon.Add(2*time.Hour), false)
	if c.Cooldown.Reason() != retry.None || !c.Cooldown.Usable(noon) {
		t.Error("the cooldown has heard of it")
	}
}
