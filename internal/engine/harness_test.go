package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// step is what a scripted deployment does with one attempt.
type step struct {
	Outcome         // of Attempt
	deliver Outcome // of Deliver
	takes   time.Duration
}

func fails(class retry.Class) step { return step{Outcome: Outcome{Class: class}} }

func asks(class retry.Class, wait time.Duration) step {
	return step{Outcome: Outcome{Class: class, Wait: wait, Stated: true}}
}

func cut(class retry.Class, final bool) step {
	return step{deliver: Outcome{Class: class, Final: final}}
}

func takes(d time.Duration) step { return step{takes: d} }

// scripted is an Exchange that follows a script by "pool/deployment"; the last
// step of a deployment repeats, and one without steps answers at once. It keeps
// to the attempt's limit and to ctx, as a real one does.
type scripted struct {
	script map[string][]step
	now    step
	before func(a *Attempt)

	start    time.Time
	trace    []string // "pool/deployment" of each attempt
	at       []time.Duration
	limits   []time.Duration
	attempts []Attempt
}

func script(steps map[string][]step) *scripted {
	return &scripted{script: steps, start: time.Now()}
}

func (s *scripted) Attempt(ctx context.Context, a *Attempt) Outcome {
	key := a.Target.Pool.Name + "/" + a.Candidate.ID
	s.trace = append(s.trace, key)
	s.at = append(s.at, time.Since(s.start))
	s.limits = append(s.limits, a.Limit)
	s.attempts = append(s.attempts, *a)
	if s.before != nil {
		s.before(a)
	}
	s.now = step{}
	if steps := s.script[key]; len(steps) > 0 {
		s.now = steps[0]
		if len(steps) > 1 {
			s.script[key] = steps[1:]
		}
	}
	if !sleep(ctx, min(s.now.takes, a.Limit)) {
		return Outcome{Class: retry.Canceled}
	}
	if s.now.takes > a.Limit {
		return Outcome{Class: retry.Timeout}
	}
	return s.now.Outcome
}

func (s *scripted) Deliver(context.Context, *Attempt) Outcome { return s.now.deliver }

func (s *scripted) want(t *testing.T, trace string) {
	t.Helper()
	if got := strings.Join(s.trace, " "); got != trace {
		t.Errorf("attempts %q, want %q", got, trace)
	}
}

// inOrder picks the first candidate of the configuration.
type inOrder struct{}

func (inOrder) Pick(_ *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return usable[0]
}

func deployment(id string, set ...func(*selection.Candidate)) *selection.Candidate {
	c := selection.NewCandidate(id, new(selection.State))
	c.Weight = 1
	for _, f := range set {
		f(c)
	}
	return c
}

func order(n int) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.Order = n }
}

func window(n int) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.ContextWindow = n }
}

func teams(names ...string) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.Teams = names }
}

func down(c *selection.Candidate) { c.Healthy = func() bool { return false } }

func cooldown(set func(*health.Config)) func(*selection.Candidate) {
	cfg := health.DefaultConfig()
	set(cfg)
	return func(c *selection.Candidate) { c.Cooldown = health.New(cfg) }
}

// hair cools at the second failure in a row.
var hair = cooldown(func(c *health.Config) { c.AllowedFails = 0 })

var uncooled = cooldown(func(c *health.Config) { c.Off = true })

func cooling(d time.Duration, class retry.Class) func(*selection.Candidate) {
	return func(c *selection.Candidate) { c.Cooldown.Cool(time.Now(), class, d) }
}

// newPool makes a pool with the default policy but for a backoff of none, which
// tries its deployments in the order of the configuration.
func newPool(name string, candidates ...*selection.Candidate) *Pool {
	p := NewPool(name, candidates)
	p.Strategy = inOrder{}
	p.Policy = Policy{
		Retry: retry.DefaultPolicy(), Deadline: 10 * time.Minute,
		HealthPanic: true, MaxEjected: 1, MaxFallbacks: 5,
	}
	p.Policy.Retry.Backoff = retry.Backoff{}
	return p
}

func to(pools ...*Pool) []Target {
	var list []Target
	for _, p := range pools {
		list = append(list, Target{Pool: p, Model: p.Name})
	}
	return list
}

func newRouter(t testing.TB, pools ...*Pool) *Router {
	t.Helper()
	r := new(Router)
	for _, p := range pools {
		if name, ok := r.Directory.Add(p); !ok {
			t.Fatalf("two pools are called %q", name)
		}
		r.Directory.ContextFallbacks = r.Directory.ContextFallbacks || len(p.ContextWindow) > 0
	}
	return r
}

// idle checks that no deployment carries a request any more.
func idle(t *testing.T, pools ...*Pool) {
	t.Helper()
	for _, p := range pools {
		for _, c := range p.All() {
			if n := c.InFlight(); n != 0 {
				t.Errorf("%s/%s has %d in flight at the end, want 0", p.Name, c.ID, n)
			}
			if requests, unread := c.Unanswered(); requests != 0 || unread != 0 || c.InFlightTokens() != 0 {
				t.Errorf("%s/%s has %d tokens in flight, %d requests with %d unanswered at the end, want none", p.Name, c.ID, c.InFlightTokens(), requests, unread)
			}
		}
	}
}

// bubble runs a sub-test with a clock of its own.
func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// heard is an Observer that writes down what it hears.
type heard []string

func (h *heard) Attempted(a *Attempt, out Outcome, effect health.Effect) {
	s := fmt.Sprintf("%s:%v", a.Candidate.ID, out.Class)
	if effect.Cooled {
		s += fmt.Sprintf(" cooled %v", effect.For)
	}
	if effect.Recovered {
		s += " recovered"
	}
	*h = append(*h, s)
}

func (h *heard) FellBack(from *Pool, to Target, because retry.Class) {
	*h = append(*h, fmt.Sprintf("%s>%s:%v", from.Name, to.Pool.Name, because))
}

func (h *heard) Hedged(hedge, beside *Attempt, won bool) {
	what := "lost"
	if won {
		what = "won"
	}
	*h = append(*h, fmt.Sprintf("%s %s against %s", hedge.Candidate.ID, what, beside.Candidate.ID))
}

func (h heard) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(h, want) {
		t.Errorf("observer heard %q, want %q", []string(h), want)
	}
}

// lastOne picks the last candidate of the configuration.
type lastOne struct{}

func (lastOne) Pick(_ *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return usable[len(usable)-1]
}

// serve resolves the request's model and serves it.
func serve(ctx context.Context, r *Router, req *Request, x Exchange) Result {
	route, ok := r.Resolve(req.Model, req.Team)
	if !ok {
		return Result{Class: retry.NotFound}
	}
	return r.Serve(ctx, route, req, x)
}
