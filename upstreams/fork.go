package upstreams

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

var errOvertaken = errors.New("another deployment's answer came first")

// fork is an Exchange for one attempt beside which another may run. What else an
// attempt may write to, the request's variables, its placeholders and the header of
// the response, it has for itself until it is joined.
type fork struct {
	Exchange
	header http.Header
	vars   map[string]any
	sight  *sight
	sent   atomic.Bool // the head of the request
}

// forks are the attempts of an exchange that run beside each other.
type forks struct {
	running []*fork
	lookups sync.Mutex // one at a time: a placeholder may be made when it is asked for
}

// Fork implements engine.Hedger.
func (x *Exchange) Fork() engine.Fork {
	x.end() // what an attempt before has left open
	if x.forks == nil {
		x.forks = new(forks)
	}
	f := &fork{
		Exchange: Exchange{
			w: x.w, control: x.control, r: x.r, repl: caddy.NewEmptyReplacer(),
			body: x.body, facts: x.facts, form: x.form, dialect: x.dialect,
			quiet: len(x.forks.running) > 0,
		},
		header: make(http.Header), vars: make(map[string]any),
		sight: &sight{lookups: &x.forks.lookups, repl: x.repl},
	}
	f.round, f.fork = &f.own, f
	f.repl.Map(f.sight.get)
	x.forks.lookups.Lock() // which may set variables
	maps.Copy(f.vars, variables(x.r))
	x.forks.lookups.Unlock()
	for _, other := range x.forks.running {
		other.hush()
	}
	x.forks.running = append(x.forks.running, f)
	return f
}

// Join implements engine.Hedger.
func (x *Exchange) Join(winner engine.Fork) {
	f := winner.(*fork)
	x.forks.lookups.Lock()
	for _, other := range x.forks.running {
		if other != f {
			other.sight.repl = nil
		}
	}
	x.forks.lookups.Unlock()
	x.raced = len(x.forks.running) > 1
	x.forks.running = nil
	x.round = f.round
	x.takeOver(f)
	for name, values := range f.header {
		x.w.Header()[name] = append(x.w.Header()[name], values...)
	}
	if vars := variables(x.r); vars != nil {
		maps.Copy(vars, f.vars)
	}
}

// Drop implements engine.Hedger.
func (x *Exchange) Drop(failed engine.Fork) {
	f := failed.(*fork)
	if f.Refused() {
		x.refusal = f.refusal
		x.takeOver(f)
	}
	f.end()
	x.forks.running = slices.DeleteFunc(x.forks.running, func(other *fork) bool { return other == f })
}

// takeOver sets what placeholders say of the upstream to what a fork has found.
func (x *Exchange) takeOver(f *fork) {
	for _, name := range described {
		if value, ok := f.repl.Get(name); ok {
			x.repl.Set(name, value)
		}
	}
}

// Attempt implements engine.Fork.
func (f *fork) Attempt(ctx context.Context, a *engine.Attempt) engine.Outcome {
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, f.vars)
	ctx = context.WithValue(ctx, caddy.ReplacerCtxKey, f.repl)
	f.r = f.r.WithContext(ctx)
	return f.Exchange.Attempt(ctx, a)
}

// Lose implements engine.Fork. The upstream has at least begun to read a prompt that
// it was sent.
func (f *fork) Lose() engine.Outcome {
	out := f.accounted(engine.Outcome{Class: retry.Canceled, Err: errOvertaken})
	if out.Usage.State == usage.Unknown && (f.sent.Load() || f.answer.res != nil) {
		out.Usage = f.account.said.Estimate(int64(f.facts.PromptTokens()), 0, 0)
	}
	f.end()
	return out
}

// wroteHead notes that the head of the request has been sent.
func (f *fork) wroteHead() { f.sent.Store(true) }

// hush keeps interim answers from the client from now on.
func (f *fork) hush() {
	f.roundTrip.Lock()
	f.quiet = true
	f.roundTrip.Unlock()
}

// variables are those of a request; nil where it has none.
func variables(r *http.Request) map[string]any {
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	return vars
}

// sight is a fork's view of the request's placeholders.
type sight struct {
	lookups *sync.Mutex
	repl    *caddy.Replacer // nil once another fork has won; guarded by lookups
}

// get implements caddy.ReplacerFunc. A response that several may still give has no
// header yet.
func (s *sight) get(name string) (any, bool) {
	if strings.HasPrefix(name, "http.response.") {
		return nil, false
	}
	s.lookups.Lock()
	defer s.lookups.Unlock()
	if s.repl == nil {
		return nil, false
	}
	return s.repl.Get(name)
}

// chooser is the response to which those that choose an upstream may add cookies.
func (x *Exchange) chooser() http.ResponseWriter {
	if x.fork != nil {
		return headerOnly(x.fork.header)
	}
	return x.w
}

// headerOnly is a response of which only the header is of interest.
type headerOnly http.Header

func (h headerOnly) Header() http.Header       { return http.Header(h) }
func (headerOnly) Write(p []byte) (int, error) { return len(p), nil }
func (headerOnly) WriteHeader(int)             {}

// Interface guards
var (
	_ engine.Hedger = (*Exchange)(nil)
	_ engine.Fork   = (*fork)(nil)
)
