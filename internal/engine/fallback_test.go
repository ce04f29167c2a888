package engine

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// chain makes pools of one deployment, none of which retries.
func chain(names ...string) map[string]*Pool {
	pools := make(map[string]*Pool)
	for _, name := range names {
		pools[name] = newPool(name, deployment("x"))
		pools[name].Policy.Retry.Retries = 0
	}
	return pools
}

func routerOf(t *testing.T, pools map[string]*Pool) *Router {
	var list []*Pool
	for _, p := range pools {
		list = append(list, p)
	}
	return newRouter(t, list...)
}

// allBroken makes every pool's deployment fail.
func allBroken(pools map[string]*Pool) map[string][]step {
	steps := make(map[string][]step)
	for name := range pools {
		steps[name+"/x"] = broken
	}
	return steps
}

func TestFallback(t *testing.T) {
	tests := []struct {
		name      string
		fallbacks map[string][]string
		defaults  []string
		max       int
		model     string
		want      string
		heard     []string
	}{
		{name: "in the order of the list", fallbacks: map[string][]string{"a": {"c", "b"}}, want: "a/x c/x b/x"},
		{
			name: "nested before the rest", fallbacks: map[string][]string{"a": {"b", "c"}, "b": {"d", "e"}, "d": {"f"}},
			max: 9, want: "a/x b/x d/x f/x e/x c/x",
		},
		{name: "none entered twice", fallbacks: map[string][]string{"a": {"b", "c"}, "b": {"a", "c"}, "c": {"a", "b", "c"}}, want: "a/x b/x c/x"},
		{name: "bounded", fallbacks: map[string][]string{"a": {"b", "c", "d"}}, max: 2, want: "a/x b/x c/x"},
		{name: "off with max_fallbacks 0", fallbacks: map[string][]string{"a": {"b"}}, defaults: []string{"c"}, max: -1, want: "a/x"},
		{name: "default where a pool has none of its own", defaults: []string{"b", "c"}, want: "a/x b/x c/x"},
		{name: "no default where a pool has its own", fallbacks: map[string][]string{"a": {"b"}, "b": {"a"}}, defaults: []string{"c"}, want: "a/x b/x"},
		{name: "default after a fallback without one", fallbacks: map[string][]string{"a": {"b"}}, defaults: []string{"c"}, want: "a/x b/x c/x"},
		{name: "the rest of the list before the default", fallbacks: map[string][]string{"a": {"b", "c"}}, defaults: []string{"d"}, want: "a/x b/x c/x d/x"},
		{name: "default of itself", defaults: []string{"a", "b"}, want: "a/x b/x"},
		{name: "unknown model", defaults: []string{"b", "c"}, model: "nothing", want: "b/x c/x"},
		{name: "unknown model nests like the others", fallbacks: map[string][]string{"b": {"d"}, "d": {"b"}}, defaults: []string{"b", "c"}, model: "nothing", want: "b/x d/x c/x"},
		{name: "unknown model without default", model: "nothing", want: ""},
	}
	for _, test := range tests {
		bubble(t, test.name, func(t *testing.T) {
			pools := chain("a", "b", "c", "d", "e", "f")
			for from, names := range test.fallbacks {
				for _, name := range names {
					pools[from].Fallback = append(pools[from].Fallback, to(pools[name])...)
				}
			}
			r := routerOf(t, pools)
			for _, name := range test.defaults {
				r.Directory.Default = append(r.Directory.Default, to(pools[name])...)
			}
			for _, p := range pools {
				if test.max != 0 {
					p.Policy.MaxFallbacks = max(test.max, 0)
				}
			}
			x := script(allBroken(pools))
			model := test.model
			if model == "" {
				model = "a"
			}
			res := serve(t.Context(), r, &Request{Model: model}, x)
			x.want(t, test.want)
			if want := max(len(x.trace)-1, 0); res.Fallbacks != want {
				t.Errorf("%d fallbacks, want %d", res.Fallbacks, want)
			}
			for i, a := range x.attempts {
				if a.Fallbacks != i || a.Target.Model != a.Target.Pool.Name {
					t.Errorf("attempt %d: after %d fallbacks for %q, want %d for the pool's name", i, a.Fallbacks, a.Target.Model, i)
				}
			}
		})
	}
}

func TestMaxFallbacksIsThatOfTheFirstPool(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		pools := chain("a", "b", "c", "d")
		pools["a"].Fallback, pools["a"].Policy.MaxFallbacks = to(pools["b"], pools["c"], pools["d"]), 2
		pools["b"].Policy.MaxFallbacks, pools["c"].Policy.MaxFallbacks = 0, 9
		x := script(allBroken(pools))
		serve(t.Context(), routerOf(t, pools), &Request{Model: "a"}, x)
		x.want(t, "a/x b/x c/x")
	})
}

func TestTheRestOfAListIsAFallbackToo(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		pools := chain("a", "b", "c")
		pools["a"].Fallback, pools["b"].Policy.Retry.Retries = to(pools["b"], pools["c"]), 2
		x := script(map[string][]step{"a/x": broken, "b/x": {fails(retry.RateLimit)}})
		serve(t.Context(), routerOf(t, pools), &Request{Model: "a"}, x)
		x.want(t, "a/x b/x c/x") // no retries of a 429 with somewhere to go
	})
}

func TestFallbackIsHeardOf(t *testing.T) {
	bubble(t, "with what drove the request out", func(t *testing.T) {
		pools := chain("a", "b", "c")
		pools["b"].All()[0].Cooldown.Cool(time.Now(), retry.Auth, time.Minute)
		pools["a"].Fallback = to(pools["b"], pools["c"])
		r := routerOf(t, pools)
		var h heard
		r.Observer = &h
		x := script(map[string][]step{"a/x": {fails(retry.Overloaded)}})
		res := serve(t.Context(), r, &Request{Model: "a"}, x)
		x.want(t, "a/x c/x")
		h.want(t, "x:overloaded", "a>b:overloaded", "b>c:none", "x:none")
		if res.Class != retry.None || !res.Delivered || res.Fallbacks != 2 {
			t.Errorf("result %+v, want a delivered answer after 2 fallbacks", res)
		}
	})
	bubble(t, "a pool that is out from the start is left at once", func(t *testing.T) {
		pools := chain("a", "b")
		pools["a"].All()[0].Cooldown.Cool(time.Now(), retry.Auth, time.Second)
		pools["a"].Fallback = to(pools["b"])
		x := script(nil)
		serve(t.Context(), routerOf(t, pools), &Request{Model: "a"}, x)
		x.want(t, "b/x")
		if x.at[0] != 0 {
			t.Errorf("fell back after %v, want at once", x.at[0])
		}
	})
}
