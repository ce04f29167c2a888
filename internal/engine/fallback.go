package engine

import (
	"slices"

	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// way is a pool that a request may still fall back to.
type way struct {
	to   Target
	kind retry.Class // the only failure that its list is for; None is any
}

// expect puts pools before those that the request may fall back to. Lists nest:
// a fallback's own fallbacks come before the rest.
func (w *walk) expect(list []Target, kind retry.Class) {
	w.pending = slices.Grow(w.pending, len(list))
	for i, t := range list {
		w.pending = slices.Insert(w.pending, i, way{t, kind})
	}
}

// nextPool takes the next pool off the list that the last failure calls for.
func (w *walk) nextPool() (Target, bool) {
	if !w.mayFallBack() {
		return Target{}, false
	}
	list, kind := w.fallbackList(w.because())
	if kind == retry.ContentPolicy { // what was meant for other failures would walk round the filter
		w.pending = slices.DeleteFunc(w.pending, func(n way) bool { return n.kind != kind })
	}
	w.expect(list, kind)
	for i, n := range w.pending {
		if n.serves(kind) && w.open(n.to) {
			w.pending = slices.Delete(w.pending, i, i+1)
			return n.to, true
		}
	}
	return Target{}, false
}

// canFallBack tells whether nextPool would find one after a failure of a class.
func (w *walk) canFallBack(class retry.Class) bool {
	if !w.mayFallBack() {
		return false
	}
	list, kind := w.fallbackList(class)
	return w.anyOpen(list) || w.anyPending(kind)
}

func (w *walk) mayFallBack() bool {
	return !w.req.NoFallback && w.fallbacks < w.visited[0].Policy.MaxFallbacks
}

// because is what drives the request out of its pool; None is that no
// deployment could be tried, although some hold the prompt.
func (w *walk) because() retry.Class {
	switch {
	case w.tries > 0:
		return w.last.Class
	case w.tooLong():
		return retry.ContextWindow
	}
	return retry.None
}

// tooLong tells whether the prompt is known to be too long for every deployment of
// the pool that would do otherwise, so that it is what keeps the request from it.
func (w *walk) tooLong() bool {
	found := false
	for _, c := range w.candidates {
		reason := w.query.Check(c)
		if !reason.Lasts() {
			return false
		}
		found = found || reason == selection.ContextWindow
	}
	return found
}

// fallbackList gives the pools that the request's pool names for a failure, and
// the kind that a pool named before must be of to serve for it too; None is any.
// The default fallbacks never follow a filter: nobody asked for them there.
func (w *walk) fallbackList(class retry.Class) ([]Target, retry.Class) {
	pool, d := w.target.Pool, &w.router.Directory
	first := pool == w.visited[0]
	switch {
	case w.req.FallbacksSet && first:
		return w.req.Fallbacks, retry.None
	case first && class == retry.ContextWindow && len(w.req.ContextWindow) > 0:
		return w.req.ContextWindow, class
	case first && class == retry.ContentPolicy && len(w.req.ContentPolicy) > 0:
		return w.req.ContentPolicy, class
	case class == retry.ContentPolicy, w.filteredBy == pool:
		return pool.ContentPolicy, retry.ContentPolicy
	case class == retry.ContextWindow && d.ContextFallbacks:
		return pool.ContextWindow, retry.ContextWindow
	case len(pool.Fallback) == 0 && w.filteredBy == nil && !w.anyPending(retry.None):
		return d.Default, retry.None
	}
	return pool.Fallback, retry.None
}

func (n way) serves(kind retry.Class) bool { return kind == retry.None || n.kind == kind }

func (w *walk) anyPending(kind retry.Class) bool {
	for _, n := range w.pending {
		if n.serves(kind) && w.open(n.to) {
			return true
		}
	}
	return false
}

func (w *walk) anyOpen(list []Target) bool {
	return slices.ContainsFunc(list, w.open)
}

// open tells whether a pool may still be entered: not twice in one request, not
// by a team that it has nothing for, and not when all that it has is known to be
// too small for the prompt or in another region.
func (w *walk) open(t Target) bool {
	return !slices.Contains(w.visited, t.Pool) && slices.ContainsFunc(t.Pool.For(w.req.Team), w.query.May)
}
