package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// named is a session by its name, and the answer that it goes on with.
type named struct{ session, response string }

func (n named) Session(p *Pool, team string) affinity.Session {
	kind := affinity.NewKind(p.Name, "test")
	return affinity.Session{Response: p.Sessions.ResponseKey(team, []byte(n.response)), Own: affinity.KeyOf(&kind, team, n.session)}
}

// keeping lets a pool keep sessions.
func keeping(p *Pool) *Pool {
	var ids []string
	for _, c := range p.All() {
		ids = append(ids, c.ID)
	}
	p.Sessions = affinity.NewSessions(new(affinity.Table), affinity.Options{TTL: time.Hour, Size: 1000}, p.Name, ids)
	return p
}

// sessions asks a pool m in which requests come from sessions.
type sessions struct {
	*testing.T
	r   *Router
	ids []string // of the answers, in turn
}

// asks checks where a request goes and what became of its session.
func (s *sessions) asks(n named, req Request, x *scripted, trace string, want affinity.Result) {
	s.Helper()
	if len(s.ids) > 0 {
		x.before = func(a *Attempt) { a.AnswerID = []byte(s.ids[0]) }
	}
	req.Model, req.Session = "m", n
	res := serve(context.Background(), s.r, &req, x)
	x.want(s.T, trace)
	if res.Affinity != want {
		s.Errorf("session %v: got %q, want %q", n, res.Affinity, want)
	}
}

func TestSessionsStayOnTheirDeployment(t *testing.T) {
	bubble(t, "where they were answered", func(t *testing.T) {
		p := keeping(newPool("m", deployment("a", hair), deployment("b", hair), deployment("c", hair)))
		s := sessions{T: t, r: newRouter(t, p)}
		one, two := named{session: "one"}, named{session: "two"}
		s.asks(one, Request{}, script(nil), "m/a", affinity.New)
		p.Strategy = lastOne{}
		s.asks(one, Request{}, script(nil), "m/a", affinity.Hit)
		s.asks(two, Request{}, script(nil), "m/c", affinity.New)
		s.asks(named{}, Request{}, script(nil), "m/c", affinity.None)
		p.Strategy = inOrder{}
		s.asks(two, Request{}, script(nil), "m/c", affinity.Hit)
		idle(t, p)
	})
	bubble(t, "unless it fails", func(t *testing.T) {
		p := keeping(newPool("m", deployment("a", hair), deployment("b", hair)))
		s := sessions{T: t, r: newRouter(t, p)}
		one := named{session: "one"}
		s.asks(one, Request{}, script(nil), "m/a", affinity.New)
		down := script(map[string][]step{"m/a": {fails(retry.ServerError)}})
		s.asks(one, Request{}, down, "m/a m/b", affinity.Moved)
		s.asks(one, Request{}, script(nil), "m/b", affinity.Hit) // although a cools down no more
	})
	bubble(t, "unless it cannot serve", func(t *testing.T) {
		down, full, tagged := false, deployment("a"), deployment("a")
		full.MaxParallel = 1
		tagged.Tags = []string{"x"}
		for name, tt := range map[string]struct {
			c   *selection.Candidate
			out func(*selection.Candidate) Request
		}{
			"cooling": {deployment("a"), func(c *selection.Candidate) Request {
				c.Cooldown.Cool(time.Now(), retry.RateLimit, time.Minute)
				return Request{}
			}},
			"unhealthy":         {deployment("a", func(c *selection.Candidate) { c.Healthy = func() bool { return !down } }), func(*selection.Candidate) Request { down = true; return Request{} }},
			"full":              {full, func(c *selection.Candidate) Request { c.Acquire(); return Request{} }},
			"limited":           {deployment("a", func(c *selection.Candidate) { c.Limiter = selection.NewLimiter(1, 0) }), func(*selection.Candidate) Request { return Request{} }},
			"tagged":            {tagged, func(*selection.Candidate) Request { return Request{Tags: []string{"y"}} }},
			"a standby":         {deployment("a"), func(c *selection.Candidate) Request { c.Weight = 0; return Request{} }},
			"of a higher order": {deployment("a"), func(c *selection.Candidate) Request { c.Order = 2; return Request{} }},
		} {
			other := deployment("b")
			if name == "tagged" {
				other.Tags = []string{"y"}
			}
			p := keeping(newPool("m", tt.c, other))
			s := sessions{T: t, r: newRouter(t, p)}
			t.Log(name)
			first := Request{}
			if name == "tagged" {
				first.Tags = []string{"x"}
			}
			s.asks(named{session: "one"}, first, script(nil), "m/a", affinity.New)
			p.Strategy = lastOne{}
			s.asks(named{session: "one"}, tt.out(tt.c), script(nil), "m/b", affinity.Moved)
		}
	})
}

func TestSessionsAreBoundByAnswers(t *testing.T) {
	bubble(t, "not by choices", func(t *testing.T) {
		p := keeping(newPool("m", deployment("a", uncooled), deployment("b", uncooled)))
		p.Policy.Retry.Failover, p.Policy.Retry.Retries = false, 0
		s := sessions{T: t, r: newRouter(t, p)}
		down := script(map[string][]step{"m/a": {fails(retry.ServerError)}})
		s.asks(named{session: "one"}, Request{}, down, "m/a", affinity.Off)
		p.Strategy = lastOne{}
		s.asks(named{session: "one"}, Request{}, script(nil), "m/b", affinity.New)
	})
	bubble(t, "of the pool that has answered", func(t *testing.T) {
		p, q := keeping(newPool("m", deployment("a", uncooled))), keeping(newPool("q", deployment("c"), deployment("d")))
		p.Policy.Retry.Retries = 0
		p.Fallback = to(q)
		s := sessions{T: t, r: newRouter(t, p, q)}
		down := func() *scripted { return script(map[string][]step{"m/a": {fails(retry.ServerError)}}) }
		s.asks(named{session: "one"}, Request{}, down(), "m/a q/c", affinity.New)
		q.Strategy = lastOne{}
		s.asks(named{session: "one"}, Request{}, down(), "m/a q/c", affinity.Hit)
		s.asks(named{session: "two"}, Request{}, down(), "m/a q/d", affinity.New)
	})
	bubble(t, "to where a stream that was cut went on", func(t *testing.T) {
		p := keeping(newPool("m", deployment("a", uncooled), deployment("b", uncooled)))
		s := sessions{T: t, r: newRouter(t, p)}
		cuts := script(map[string][]step{"m/a": {cut(retry.Connection, false)}})
		s.asks(named{session: "one"}, Request{}, cuts, "m/a m/b", affinity.Moved)
		s.asks(named{session: "one"}, Request{}, script(nil), "m/b", affinity.Hit)
	})
	bubble(t, "of the same team", func(t *testing.T) {
		p := keeping(newPool("m", deployment("a"), deployment("b")))
		s := sessions{T: t, r: newRouter(t, p)}
		s.asks(named{session: "one"}, Request{Team: "red"}, script(nil), "m/a", affinity.New)
		p.Strategy = lastOne{}
		s.asks(named{session: "one"}, Request{Team: "blue"}, script(nil), "m/b", affinity.New)
		s.asks(named{session: "one"}, Request{Team: "red"}, script(nil), "m/a", affinity.Hit)
	})
}

func TestAnswersAreGoneOnWithWhereTheyAre(t *testing.T) {
	bubble(t, "before the session's own deployment", func(t *testing.T) {
		p := keeping(newPool("m", deployment("a"), deployment("b")))
		s := sessions{T: t, r: newRouter(t, p), ids: []string{"resp_a"}}
		s.asks(named{}, Request{}, script(nil), "m/a", affinity.None)
		p.Strategy, s.ids[0] = lastOne{}, "resp_b"
		s.asks(named{session: "one"}, Request{}, script(nil), "m/b", affinity.New)
		s.ids[0] = "resp_c"
		s.asks(named{"one", "resp_a"}, Request{}, script(nil), "m/a", affinity.Hit)
		s.ids[0] = "resp_d"
		s.asks(named{"", "resp_c"}, Request{}, script(nil), "m/a", affinity.Hit)
		s.asks(named{"", "resp_b"}, Request{}, script(nil), "m/b", affinity.Hit)
		t.Log("and not by another team")
		s.asks(named{"", "resp_c"}, Request{Team: "red"}, script(nil), "m/b", affinity.New)
	})
}

// Sessions come and go on while deployments die and come back. A session is never
// moved but by a deployment that is out, and then stays where it was answered last.
func TestSimulatedSessions(t *testing.T) {
	bubble(t, "with one deployment at a time dead", func(t *testing.T) {
		rnd := rand.New(rand.NewPCG(1, 2))
		var candidates []*selection.Candidate
		dead := ""
		for i := range 5 {
			c := deployment(fmt.Sprint(i), uncooled)
			c.Healthy = func() bool { return dead != c.ID }
			candidates = append(candidates, c)
		}
		p := keeping(NewPool("m", candidates))
		p.Strategy = selection.Weighted{Random: rnd.Float64}
		p.Policy = newPool("x").Policy
		r := newRouter(t, p)
		homes := make(map[int]string)
		var moves, mustMove int
		served := make(map[string]int)
		for n := range 20_000 {
			if n%2000 == 0 {
				dead = fmt.Sprint(n / 2000 % 6) // the last is nobody
			}
			id := rnd.IntN(200)
			req := &Request{Model: "m", Session: named{session: fmt.Sprint(id)}}
			x := script(nil)
			res := serve(t.Context(), r, req, x)
			at, home := res.Candidate.ID, homes[id]
			want := affinity.Hit
			switch {
			case home == "":
				want = affinity.New
			case home == dead:
				want = affinity.Moved
				mustMove++
			}
			if at != home && home != "" {
				moves++
			}
			if res.Affinity != want || want == affinity.Hit && at != home {
				t.Fatalf("request %d: session %d was on %q, is on %q, %q dead: got %q, want %q", n, id, home, at, dead, res.Affinity, want)
			}
			homes[id] = at
			served[at]++
			time.Sleep(time.Second / 10)
		}
		if moves != mustMove || moves == 0 {
			t.Errorf("got %d moves, want %d, of those alone whose deployment was dead", moves, mustMove)
		}
		t.Logf("%d moves in 20000 requests; served: %v", moves, served)
	})
}

// A pool that keeps no sessions asks for none.
type unasked struct{ *testing.T }

func (u unasked) Session(*Pool, string) affinity.Session {
	u.Error("got a question for the session, want none")
	return affinity.Session{}
}

func TestSessionsAreOff(t *testing.T) {
	r := newRouter(t, newPool("m", deployment("a")))
	x := script(nil)
	if res := serve(t.Context(), r, &Request{Model: "m", Session: unasked{t}}, x); res.Affinity != affinity.Off {
		t.Errorf("got %q, want nothing", res.Affinity)
	}
}

// What a session adds to a request whose round trip costs nothing.
func BenchmarkServeSession(b *testing.B) {
	for _, n := range []int{2, 100} {
		r := benchRouter(b, n)
		p, _ := r.Directory.Resolve("m")
		keeping(p.Pool)
		session := fixed{Own: affinity.Key{1}}
		for name, req := range map[string]*Request{"with": {Model: "m", PromptTokens: 100, Session: &session}, "without": {Model: "m", PromptTokens: 100}} {
			b.Run(fmt.Sprintf("%s, of %d deployments", name, n), func(b *testing.B) {
				x, ctx := new(instant), context.Background()
				b.ReportAllocs()
				for b.Loop() {
					x.made = 0
					serve(ctx, r, req, x)
				}
			})
		}
	}
}

// fixed is a session that is known already.
type fixed affinity.Session

func (f *fixed) Session(*Pool, string) affinity.Session { return affinity.Session(*f) }
