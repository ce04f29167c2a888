package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// A connection that was upgraded is an attempt that lasts for hours.
func TestAnsweredBeforeTheAttemptIsOver(t *testing.T) {
	bubble(t, "ends the probation at once", func(t *testing.T) {
		m := newPool("m", deployment("a", hair))
		c := m.For("")[0]
		c.Cooldown.Cool(time.Now(), retry.ServerError, time.Second)
		time.Sleep(2 * time.Second)
		seen := new(effects)
		r := newRouter(t, m)
		r.Observer = seen
		x := script(nil)
		x.before = func(a *Attempt) {
			if c.Cooldown.Usable(time.Now()) {
				t.Error("usable for others while it is probed")
			}
			a.Answered()
			a.Answered()
			if !c.Cooldown.Usable(time.Now()) {
				t.Error("not usable for others although it has answered")
			}
		}
		res := serve(t.Context(), r, &Request{Model: "m"}, x)
		if res.Class != retry.None || len(seen.all) != 1 || !seen.all[0].Recovered {
			t.Errorf("result %+v, effects %+v; want one good attempt that recovers", res, seen.all)
		}
	})
	bubble(t, "says nothing of the next attempt", func(t *testing.T) {
		m := newPool("m", deployment("a"), deployment("b"))
		seen := new(effects)
		r := newRouter(t, m)
		r.Observer = seen
		m.For("")[0].Cooldown.Cool(time.Now(), retry.ServerError, time.Second)
		time.Sleep(2 * time.Second)
		x := script(map[string][]step{"m/a": {fails(retry.Connection)}})
		x.before = func(a *Attempt) {
			if a.Candidate.ID == "a" {
				a.Answered()
			}
		}
		serve(t.Context(), r, &Request{Model: "m"}, x)
		x.want(t, "m/a m/b")
		if len(seen.all) != 2 || !seen.all[0].Recovered || seen.all[1].Recovered {
			t.Errorf("effects %+v, want that only the first recovers", seen.all)
		}
	})
	t.Run("means nothing to an attempt of no engine", func(t *testing.T) { new(Attempt).Answered() })
}

// A failure that the client has got already ends the request, and is still the
// deployment's.
func TestFinalFailureOfTheFirstAnswerIsBlamed(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m := newPool("m", deployment("a", hair), deployment("b"))
		x := script(map[string][]step{"m/a": {{Outcome: Outcome{Class: retry.ServerError, Final: true}}}})
		res := serve(t.Context(), newRouter(t, m), &Request{Model: "m"}, x)
		x.want(t, "m/a")
		if res.Class != retry.ServerError || !res.Delivered {
			t.Errorf("result %+v, want server_error, delivered", res)
		}
		wantUsable(t, m, "b")
	})
}

// effects collects what attempts did to their deployments.
type effects struct{ all []health.Effect }

func (e *effects) Attempted(_ *Attempt, _ Outcome, effect health.Effect) {
	e.all = append(e.all, effect)
}

func (e *effects) FellBack(*Pool, Target, retry.Class) {}

func (e *effects) Hedged(*Attempt, *Attempt, bool) {}

// What becomes of a cooldown is told to the other instances once, and its end
// before a long stream is over.
func TestOtherInstancesHearOfCooldowns(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		m, f := newPool("m", deployment("a", hair)), newPool("f", deployment("a"))
		m.Fallback = to(f)
		others := new(others)
		m.For("")[0].Others = others
		r := newRouter(t, m, f)
		want := func(when string, want ...string) {
			t.Helper()
			if !slices.Equal(others.told, want) {
				t.Errorf("%s: got %q told, want %q", when, others.told, want)
			}
			others.told = nil
		}
		serve(t.Context(), r, &Request{Model: "m"}, script(nil))
		want("a good answer")
		serve(t.Context(), r, &Request{Model: "m"}, script(map[string][]step{"m/a": broken}))
		want("a failure", "server_error")
		time.Sleep(time.Minute)
		x := script(nil)
		x.before = func(a *Attempt) {
			a.Answered()
			want("the begin of an answer", "restored")
		}
		serve(t.Context(), r, &Request{Model: "m"}, x)
		want("the end of the answer")
	})
}

// others are other instances.
type others struct{ told []string }

func (o *others) Cooled(class retry.Class, _ time.Duration) { o.told = append(o.told, class.String()) }
func (o *others) Restored()                                 { o.told = append(o.told, "restored") }
