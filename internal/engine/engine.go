package engine

import (
	"context"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Router serves requests over the pools of its directory. It is safe for
// concurrent use once its fields are set.
type Router struct {
	Directory Directory
	// Observer hears of attempts and fallbacks; nil is none.
	Observer Observer
}

// Serve takes a request from the pool that Resolve found to an answer: it
// filters and selects among the pool's deployments, makes the attempt and judges
// it, until an answer is delivered or nothing is left to try. The caller tells
// the client what the result says, when it says that nothing was delivered.
func (r *Router) Serve(ctx context.Context, route Route, req *Request, x Exchange) Result {
	w := newWalk(r, req, route)
	defer w.free()
	for {
		c, ok := w.choose(ctx)
		if !ok {
			if !w.again(ctx) {
				return w.result()
			}
			continue
		}
		if out := w.attempt(ctx, x, c); out.Class == retry.None || !w.mayGoOn(ctx, out) {
			return w.result()
		}
	}
}

// Route is where a request begins: a pool, and the default fallbacks that come
// after it when it stands in for a model that means no pool.
type Route struct {
	Target Target
	rest   []Target
}

// Resolve finds the pool that serves a model for a team: the one that the model
// means, or the first default fallback when it means none. A pool without a
// deployment for the team is none.
func (r *Router) Resolve(model, team string) (Route, bool) {
	if target, ok := r.Directory.ResolveFor(model, team); ok {
		return Route{Target: target}, true
	}
	for i, target := range r.Directory.Default {
		if target.Pool.Serves(team) {
			return Route{target, r.Directory.Default[i+1:]}, true
		}
	}
	return Route{}, false
}

// mayGoOn tells whether anything is left to be said after a failure: nothing is
// when the client has gone, has bytes that nothing else continues, or sent what
// no deployment would accept.
func (w *walk) mayGoOn(ctx context.Context, out Outcome) bool {
	switch {
	case out.Final, out.Class == retry.Canceled, ctx.Err() != nil:
		return false
	case out.Class == retry.BadRequest, out.Class == retry.ClientAuth:
		return false
	}
	return time.Now().Before(w.deadline)
}
