package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// tokenCount is a prompt of so many tokens, whoever counts.
type tokenCount int

func (n tokenCount) Exceeds(_ selection.Tokenizer, limit int) bool { return int(n) > limit }

type anyTokenizer struct{}

func (anyTokenizer) Count(string) (int, bool) { return 0, false }

// holds is a deployment that is known to take prompts of so many tokens.
func holds(n int) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.ContextWindow, c.Tokenizer = n, anyTokenizer{} }
}

func region(name string) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.Region = name }
}

// prompt is a request for m of so many tokens.
func prompt(tokens int) *Request {
	return &Request{Model: "m", Size: selection.Size{Bytes: 4 * tokens, Counter: tokenCount(tokens)}}
}

func TestTooLong(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name          string
		m             func() []*selection.Candidate
		fallback      []string // to small, large and unknown
		context       []string
		otherHas      bool // some other pool has a context fallback
		tokens        int
		want          string
		class         retry.Class
		wait          time.Duration
		heard         string
		largest       string
		unavailable   bool
		fallbacksMade int
	}{
		{name: "to what holds it", m: func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", holds(10)), deployment("b", holds(100), order(2))}
		}, tokens: 50, want: "m/b"},
		{name: "nowhere", m: func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", holds(10)), deployment("b", holds(100)), deployment("c", holds(50))}
		}, tokens: 101, class: retry.ContextWindow, largest: "b"},
		{name: "to the context fallback", m: func() []*selection.Candidate { return []*selection.Candidate{deployment("a", holds(10))} },
			fallback: []string{"unknown"}, context: []string{"small", "large"}, tokens: 50,
			want: "large/x", heard: "m>large:context_window", fallbacksMade: 1},
		{name: "to any fallback where there is no context fallback", m: func() []*selection.Candidate { return []*selection.Candidate{deployment("a", holds(10))} },
			fallback: []string{"small", "unknown", "large"}, tokens: 50,
			want: "unknown/x", heard: "m>unknown:context_window", fallbacksMade: 1},
		{name: "to none where another pool has a context fallback", m: func() []*selection.Candidate { return []*selection.Candidate{deployment("a", holds(10))} },
			fallback: []string{"large"}, otherHas: true, tokens: 50, class: retry.ContextWindow, largest: "a"},
		{name: "a larger one cools down: for its time", m: func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", holds(10)), deployment("b", holds(100), cooling(7*s, retry.ServerError))}
		}, tokens: 50, class: retry.Overloaded, wait: 7 * s, unavailable: true},
		{name: "a larger one cools down: like any pool that is out", m: func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", holds(10)), deployment("b", holds(100), cooling(7*s, retry.ServerError))}
		}, fallback: []string{"small", "large"}, context: []string{"unknown"}, tokens: 50,
			want: "large/x", heard: "m>large:none", fallbacksMade: 1},
		{name: "what cools down is too small, too", m: func() []*selection.Candidate {
			return []*selection.Candidate{deployment("a", holds(10), cooling(7*s, retry.ServerError))}
		}, tokens: 50, class: retry.ContextWindow, largest: "a"},
		{name: "what is full is waited for", m: func() []*selection.Candidate {
			full := deployment("b", holds(100), func(c *selection.Candidate) { c.MaxParallel = 1 })
			full.Acquire()
			return []*selection.Candidate{deployment("a", holds(10)), full}
		}, tokens: 50, class: retry.RateLimit, unavailable: true},
	} {
		bubble(t, test.name, func(t *testing.T) {
			pools := map[string]*Pool{
				"m": newPool("m", test.m()...), "small": newPool("small", deployment("x", holds(20))),
				"large": newPool("large", deployment("x", holds(1000))), "unknown": newPool("unknown", deployment("x")),
			}
			for _, name := range test.fallback {
				pools["m"].Fallback = append(pools["m"].Fallback, to(pools[name])...)
			}
			for _, name := range test.context {
				pools["m"].ContextWindow = append(pools["m"].ContextWindow, to(pools[name])...)
			}
			r := routerOf(t, pools)
			r.Directory.ContextFallbacks = r.Directory.ContextFallbacks || test.otherHas
			var heard heard
			r.Observer = &heard
			x := script(nil)
			res := serve(t.Context(), r, prompt(test.tokens), x)
			x.want(t, test.want)
			if res.Class != test.class || res.Wait != test.wait || res.Unavailable != test.unavailable || res.Fallbacks != test.fallbacksMade {
				t.Errorf("result %+v, want the class %v, a wait of %v, unavailable: %t, %d fallbacks", res, test.class, test.wait, test.unavailable, test.fallbacksMade)
			}
			if largest := res.Largest; (largest == nil) != (test.largest == "") || largest != nil && largest.ID != test.largest {
				t.Errorf("the largest is %+v, want %q", largest, test.largest)
			}
			if moves := strings.Join(heard, " "); test.heard != "" && !strings.HasPrefix(moves, test.heard+" ") || test.heard == "" && strings.Contains(moves, ">") {
				t.Errorf("heard %q, want it to begin with %q", moves, test.heard)
			}
		})
	}
}

// Of what keeps a request out for good, its client can only mend its length.
func TestTooLongIsSaidFirst(t *testing.T) {
	bubble(t, "beside another region", func(t *testing.T) {
		m := newPool("m", deployment("a", holds(10), region("eu")), deployment("b", region("us")))
		req := prompt(50)
		req.Regions = []string{"eu"}
		if res := serve(t.Context(), newRouter(t, m), req, script(nil)); res.Class != retry.ContextWindow || res.Largest == nil || res.Largest.ID != "a" {
			t.Errorf("got %v and the largest %+v, want context_window and a", res.Class, res.Largest)
		}
	})
}

// However a request leaves its pool, it does not come to one that is too small.
func TestEveryFallbackHoldsThePrompt(t *testing.T) {
	for _, class := range []retry.Class{retry.ServerError, retry.RateLimit, retry.ContextWindow, retry.ContentPolicy} {
		bubble(t, class.String(), func(t *testing.T) {
			m, small := newPool("m", deployment("a")), newPool("small", deployment("x", holds(20)))
			large := newPool("large", deployment("x", holds(1000)))
			m.Policy.Retry.Retries = 0
			m.Fallback, m.ContextWindow, m.ContentPolicy = to(small, large), to(small, large), to(small, large)
			x := script(map[string][]step{"m/a": {fails(class)}})
			serve(t.Context(), newRouter(t, m, small, large), prompt(50), x)
			x.want(t, "m/a large/x")
		})
	}
}

func TestRegionsOfPools(t *testing.T) {
	for _, test := range []struct {
		name    string
		regions []string
		want    string
		class   retry.Class
		out     selection.Reason
	}{
		{"anywhere", nil, "m/us", retry.None, selection.Usable},
		{"where the pool is", []string{"us"}, "m/us", retry.None, selection.Usable},
		{"where a fallback is", []string{"eu"}, "europe/eu", retry.None, selection.Usable},
		{"where nothing is", []string{"asia"}, "", retry.NotFound, selection.Region},
	} {
		bubble(t, test.name, func(t *testing.T) {
			m, nowhere, europe := newPool("m", deployment("us", region("us"))), newPool("nowhere", deployment("x")), newPool("europe", deployment("eu", region("eu")))
			m.Fallback = to(nowhere, europe)
			m.Policy.MaxFallbacks = 1 // what cannot serve the request costs none
			x := script(nil)
			res := serve(t.Context(), newRouter(t, m, nowhere, europe), &Request{Model: "m", Regions: test.regions}, x)
			x.want(t, test.want)
			if res.Class != test.class || res.Out != test.out {
				t.Errorf("got %v, out for %q; want %v, out for %q", res.Class, res.Out, test.class, test.out)
			}
		})
	}
}

// What can never serve a request says nothing about when it can be served.
func TestWhatNeverServesIsNotWaitedFor(t *testing.T) {
	for _, test := range []struct {
		name  string
		never func(*selection.Candidate)
		req   Request
	}{
		{"another region", region("us"), Request{Model: "m", Regions: []string{"eu"}}},
		{"shorter answers", func(c *selection.Candidate) { c.MaxOutput = 10 }, Request{Model: "m", Size: selection.Size{Output: 50}}},
	} {
		bubble(t, test.name, func(t *testing.T) {
			m := newPool("m", deployment("never", test.never), deployment("later", region("eu"), cooling(7*time.Second, retry.ServerError)))
			res := serve(t.Context(), newRouter(t, m), &test.req, script(nil))
			if res.Class != retry.Overloaded || res.Wait != 7*time.Second {
				t.Errorf("got %v and a wait of %v, want overloaded and 7s", res.Class, res.Wait)
			}
		})
		bubble(t, test.name+", beside a failure", func(t *testing.T) {
			m := newPool("m", deployment("a", region("eu")), deployment("never", test.never), deployment("later", region("eu"), cooling(7*time.Second, retry.ServerError)))
			f := newPool("f", deployment("x", region("eu")))
			m.Fallback = to(f)
			x := script(map[string][]step{"m/a": {fails(retry.ServerError)}})
			serve(t.Context(), newRouter(t, m, f), &test.req, x)
			x.want(t, "m/a f/x")
		})
	}
}

// A long prompt that waits for the deployment that holds it keeps nobody from the
// others, although it came first.
func TestLongPromptsWaitForWhatHoldsThem(t *testing.T) {
	bubble(t, "two sizes", func(t *testing.T) {
		one := func(c *selection.Candidate) { c.MaxParallel = 1 }
		small, large := deployment("small", holds(10), one), deployment("large", holds(100), one)
		small.Acquire()
		large.Acquire()
		m := newPool("m", small, large)
		m.Policy.Queue = QueuePolicy{Size: 10, Timeout: time.Minute}
		r := newRouter(t, m)
		served := make(chan string, 2)
		ask := func(tokens int) {
			x := script(nil)
			res := serve(t.Context(), r, prompt(tokens), x)
			served <- strings.Join(x.trace, " ") + " " + res.Class.String()
		}
		go ask(50)
		time.Sleep(time.Second)
		go ask(5)
		time.Sleep(time.Second)
		small.Release()
		if got := <-served; got != "m/small none" {
			t.Errorf("got %q first, want the short prompt on the small deployment", got)
		}
		large.Release()
		if got := <-served; got != "m/large none" {
			t.Errorf("got %q then, want the long prompt on the large one", got)
		}
		idle(t, m)
	})
	for _, pools := range []string{"in one pool", "in pools to fall back to"} {
		bubble(t, "each is out where the other is not, "+pools, func(t *testing.T) {
			one := func(c *selection.Candidate) { c.MaxParallel = 1 }
			together := deployment("together", holds(100), one)
			apart := deployment("apart", func(c *selection.Candidate) { c.MaxInput, c.Tokenizer = 60, anyTokenizer{} }, one)
			full := deployment("full", one)
			for _, c := range []*selection.Candidate{together, apart, full} {
				c.Acquire()
			}
			m, others := newPool("m", full, together, apart), []*Pool(nil)
			if pools != "in one pool" {
				m, others = newPool("m", full), []*Pool{newPool("f", apart), newPool("g", together)}
				m.Fallback = to(others...)
			}
			m.Policy.Queue = QueuePolicy{Size: 10, Timeout: time.Minute}
			r := newRouter(t, append(others, m)...)
			served := make(chan string, 2)
			ask := func(tokens, output int) {
				req := prompt(tokens)
				req.Size.Output = output
				res := serve(t.Context(), r, req, script(nil))
				served <- res.Deployment()
			}
			go ask(50, 100)
			time.Sleep(time.Second)
			go ask(90, 0)
			time.Sleep(time.Second)
			together.Release()
			if got := <-served; got != "together" {
				t.Errorf("got %q first, want the long prompt on the deployment that holds it", got)
			}
			apart.Release()
			if got := <-served; got != "apart" {
				t.Errorf("got %q then, want the long answer on the other one", got)
			}
			full.Release()
			idle(t, m)
		})
	}
	bubble(t, "what is too long for all does not wait", func(t *testing.T) {
		full := deployment("small", holds(10), func(c *selection.Candidate) { c.MaxParallel = 1 })
		full.Acquire()
		m := newPool("m", full)
		m.Policy.Queue = QueuePolicy{Size: 10, Timeout: time.Minute}
		x := script(nil)
		if res := serve(t.Context(), newRouter(t, m), prompt(50), x); res.Class != retry.ContextWindow || res.Waited != 0 {
			t.Errorf("got %v after %v, want context_window at once", res.Class, res.Waited)
		}
		full.Release()
	})
}

// The engine learns of a window from a refusal as it does from a limit on prompts.
func TestRefusalsSayNoLess(t *testing.T) {
	bubble(t, "a limit on prompts", func(t *testing.T) {
		input := func(n int) func(*selection.Candidate) { return func(c *selection.Candidate) { c.MaxInput = n } }
		m := newPool("m", deployment("a", input(10)), deployment("b", input(10)), deployment("c", input(20)))
		x := script(map[string][]step{"m/a": {fails(retry.ContextWindow)}})
		serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a m/c")
	})
}
