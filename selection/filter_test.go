package selection

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func full(c *Candidate) { c.MaxParallel = 1; c.Acquire() }

func usedUp(c *Candidate) { c.Limiter = NewLimiter(1, 0); c.Limiter.Reserve(noon, 0) }

func probing(c *Candidate) {
	c.Cooldown.Cool(noon.Add(-time.Minute), retry.Auth, time.Second)
	c.Cooldown.Begin(noon)
}

func TestCheckGivesTheReason(t *testing.T) {
	all := func(tags ...string) TagSet {
		return TagsFor([]*Candidate{candidate("x", tagged("paid"))}, tags)
	}
	tests := []struct {
		name  string
		c     *Candidate
		query Query
		want  Reason
		text  string
	}{
		{"nothing", candidate("a", up), Query{}, Usable, ""},
		{"tags", candidate("a", tagged("free")), Query{Tags: all("paid")}, Tags, "tags"},
		{"same window", candidate("a", window(8)), Query{AboveWindow: 8}, ContextWindow, "context_window"},
		{"larger window", candidate("a", window(9)), Query{AboveWindow: 8, KnownWindow: true}, Usable, ""},
		{"unknown window", candidate("a"), Query{AboveWindow: 8}, Usable, ""},
		{"unknown window where it must be known", candidate("a"), Query{AboveWindow: 8, KnownWindow: true}, ContextWindow, "context_window"},
		{"unhealthy", candidate("a", down), Query{}, Unhealthy, "unhealthy"},
		{"unhealthy in a panic", candidate("a", down), Query{AnyHealth: true}, Usable, ""},
		{"cooling", candidate("a", cool), Query{}, CoolingDown, "cooldown"},
		{"probed by another", candidate("a", probing), Query{}, CoolingDown, "cooldown"},
		{"requests used up", candidate("a", usedUp), Query{}, Limit, "limit"},
		{"tokens that do not fit", candidate("a", limit(0, 10), func(c *Candidate) { c.Limiter.Reserve(noon, 5) }), Query{Tokens: 6}, Limit, "limit"},
		{"tokens that fit", candidate("a", limit(0, 10), func(c *Candidate) { c.Limiter.Reserve(noon, 5) }), Query{Tokens: 5}, Usable, ""},
		{"full", candidate("a", full), Query{}, Full, "full"},
		{"a place left", candidate("a", parallel(1)), Query{}, Usable, ""},
		{"first of several", candidate("a", full, cool, down, usedUp), Query{}, Unhealthy, "unhealthy"},
		{"cooldown before limit", candidate("a", full, cool, usedUp), Query{}, CoolingDown, "cooldown"},
		{"limit before full", candidate("a", full, usedUp), Query{}, Limit, "limit"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.query.Now = noon
			got := test.query.Check(test.c)
			if got != test.want || got.String() != test.text {
				t.Errorf("reason %q, want %q", got, test.want)
			}
		})
	}
	t.Run("tried", func(t *testing.T) {
		a, b := candidate("a"), candidate("b")
		q := Query{Now: noon, Tried: []*Candidate{a}}
		if got := q.Check(a); got != Tried || got.String() != "tried" {
			t.Errorf("reason %q, want tried", got)
		}
		if got := q.Check(b); got != Usable {
			t.Errorf("another's reason %q, want none", got)
		}
	})
	if Team.String() != "team" || Order.String() != "order" {
		t.Errorf("names %q and %q, want team and order", Team, Order)
	}
}

func TestCheckFollowsTheClock(t *testing.T) {
	c := candidate("a", cool)
	for _, test := range []struct {
		after time.Duration
		want  Reason
	}{{0, CoolingDown}, {time.Minute - 1, CoolingDown}, {time.Minute, Usable}} {
		q := Query{Now: noon.Add(test.after)}
		if got := q.Check(c); got != test.want {
			t.Errorf("after %v: %q, want %q", test.after, got, test.want)
		}
	}
}

func TestFilterKeepsTheLowestUsableOrder(t *testing.T) {
	tests := []struct {
		name string
		all  []*Candidate
		want string
	}{
		{"nobody", nil, ""},
		{"nobody usable", []*Candidate{candidate("a", cool), candidate("b", down, order(2))}, ""},
		{"one order", []*Candidate{candidate("a"), candidate("b"), candidate("c")}, "abc"},
		{"lowest first", []*Candidate{candidate("a"), candidate("b", order(2)), candidate("c")}, "ac"},
		{"lowest last", []*Candidate{candidate("a", order(3)), candidate("b", order(2)), candidate("c", order(3)), candidate("d")}, "d"},
		{"lowest out", []*Candidate{candidate("a", cool), candidate("b", order(3)), candidate("c", order(2)), candidate("d", order(2))}, "cd"},
		{"a part of the lowest out", []*Candidate{candidate("a", cool), candidate("b"), candidate("c", order(2))}, "b"},
		{"order zero", []*Candidate{candidate("a"), candidate("b", order(0))}, "b"},
		{"an unusable one of lower order does not matter", []*Candidate{candidate("a", order(2)), candidate("b", full)}, "a"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := Query{Now: noon}
			if got := ids(q.Filter(nil, test.all)); got != test.want {
				t.Errorf("usable %q, want %q", got, test.want)
			}
			before := candidate("z", order(0))
			if got := ids(q.Filter([]*Candidate{before}, test.all)); got != "z"+test.want {
				t.Errorf("appended %q, want %q: what dst holds stays", got, "z"+test.want)
			}
		})
	}
}

func TestAllUnhealthy(t *testing.T) {
	for want, lists := range map[bool][][]*Candidate{
		true:  {{candidate("a", down)}, {candidate("a", down), candidate("b", down, cool)}},
		false: {nil, {candidate("a")}, {candidate("a", down), candidate("b", up)}},
	} {
		for _, list := range lists {
			if got := AllUnhealthy(list); got != want {
				t.Errorf("%q: %v, want %v", ids(list), got, want)
			}
		}
	}
}

func TestTags(t *testing.T) {
	free, paid, both := candidate("f", tagged("free")), candidate("p", tagged("paid")), candidate("b", tagged("free", "paid"))
	usual, plain := candidate("d", tagged(DefaultTag, "slow")), candidate("n")
	tests := []struct {
		name string
		all  []*Candidate
		tags []string
		want string
	}{
		{"any of the request's", []*Candidate{free, paid, both, usual, plain}, []string{"free"}, "fb"},
		{"one of several is enough", []*Candidate{free, paid, both, usual, plain}, []string{"nothing", "paid", "free"}, "fpb"},
		{"none fits, default serves", []*Candidate{free, usual, plain}, []string{"nothing"}, "d"},
		{"none fits, no default", []*Candidate{free, paid, plain}, []string{"nothing"}, ""},
		{"no tags, default serves", []*Candidate{free, usual, plain}, nil, "d"},
		{"no tags, no default", []*Candidate{free, paid, plain}, nil, "fpn"},
		{"nobody tagged", []*Candidate{plain}, []string{"free"}, "n"},
		{"default by name", []*Candidate{free, usual}, []string{DefaultTag}, "d"},
		{"another tag of the default's", []*Candidate{free, usual}, []string{"slow"}, "d"},
		{"case matters", []*Candidate{free, plain}, []string{"Free"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q := Query{Now: noon, Tags: TagsFor(test.all, test.tags)}
			if got := ids(q.Filter(nil, test.all)); got != test.want {
				t.Errorf("usable %q, want %q", got, test.want)
			}
		})
	}
	t.Run("a match that is out does not open the default", func(t *testing.T) {
		all := []*Candidate{candidate("f", tagged("free"), cool), usual}
		q := Query{Now: noon, Tags: TagsFor(all, []string{"free"})}
		if got := ids(q.Filter(nil, all)); got != "" {
			t.Errorf("usable %q, want none", got)
		}
	})
}

func TestFilterAllocatesNothing(t *testing.T) {
	all := benchCandidates(100)
	scratch := make([]*Candidate, 0, len(all))
	pick, tags := Weighted{}, []string{"a"}
	if n := testing.AllocsPerRun(100, func() {
		q := Query{Now: noon, Tags: TagsFor(all, tags), Tried: all[:1]}
		pick.Pick(&q, q.Filter(scratch, all))
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func slowStart(d time.Duration) func(*Candidate) {
	cfg := health.DefaultConfig()
	cfg.SlowStart = d
	return func(c *Candidate) { c.Cooldown = health.New(cfg) }
}
