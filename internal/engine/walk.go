package engine

import (
	"math"
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/queue"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// walk is one request's way through pools and deployments.
type walk struct {
	router *Router
	req    *Request

	// The pool that the request is in, and what has happened in it.
	target     Target
	candidates []*selection.Candidate
	lots       *selection.Lots
	query      selection.Query
	tries      int  // attempts in this pool
	retries    int  // of which were retries
	retrying   bool // untried deployments are used up
	granted    bool // a retry may choose once
	paid       bool // the budget has paid for the failover
	// place is what the request has taken while it waited.
	place *selection.Candidate

	// What has happened in the whole request.
	route     Route // where it began
	began     time.Time
	upstream  time.Duration // spent on attempts
	waited    time.Duration // between them
	deadline  time.Time
	ownLimit  bool // the deadline is the client's, not ours
	attempts  int
	fallbacks int
	visited   []*Pool
	pending   []way
	last      Outcome
	delivered bool
	// turnedAway is how the request's wait for a place ended, if in vain.
	turnedAway *queue.Outcome
	// filteredBy is the last pool that has refused the content.
	filteredBy *Pool

	try    try                  // the attempt that is made, or was
	latest *selection.Candidate // that an attempt has been settled of
	hedges int                  // attempts that went beside others
	losers int                  // of those that are yet to be settled
	// latestIn is the pool of the latest, which may have been left.
	latestIn *Pool

	session  session
	affinity affinity.Result

	// firstToken is when the request's first content came, since began.
	firstToken time.Duration
	bill       bill

	tried   []*selection.Candidate // in this pool, what just failed at the end
	usedUp  []selection.UsedUp     // as the other instances say
	scratch []*selection.Candidate
	prompt  selection.Prompt
}

var walks = sync.Pool{New: func() any { return new(walk) }}

// newWalk begins a request in the pool of its route.
func newWalk(r *Router, req *Request, route Route) *walk {
	w := walks.Get().(*walk) // as new or as free has left it, which is the same
	w.router, w.req, w.route, w.began = r, req, route, time.Now()
	w.prompt.Reset(req.Prompt)
	limit := route.Target.Pool.Policy.Deadline
	if req.Timeout > 0 && req.Timeout < limit {
		limit, w.ownLimit = req.Timeout, true
	}
	w.deadline = w.began.Add(limit)
	w.rewind()
	if req.Mock != retry.None {
		w.pretend(req.Mock)
	}
	return w
}

// rewind brings a request that no deployment has been tried for back to where it
// began.
func (w *walk) rewind() {
	w.visited, w.pending, w.fallbacks = w.visited[:0], w.pending[:0], 0
	if !w.req.FallbacksSet {
		w.expect(w.route.rest, retry.None)
	}
	w.enter(w.route.Target)
}

// moveOn takes the request to the next pool that it may fall back to.
func (w *walk) moveOn() bool {
	target, ok := w.nextPool()
	if ok {
		w.fallbacks++
		w.enter(target)
	}
	return ok
}

// pretend leaves the pool as if it had failed to the last.
func (w *walk) pretend(class retry.Class) {
	w.last = Outcome{Class: class}
	w.tries, w.retries, w.retrying = 1, math.MaxInt, true
	if class == retry.ContentPolicy {
		w.filteredBy = w.target.Pool
	}
}

// free gives the walk back without keeping what it points to alive.
func (w *walk) free() {
	clear(w.visited[:cap(w.visited)])
	clear(w.pending[:cap(w.pending)])
	clear(w.tried[:cap(w.tried)])
	clear(w.usedUp[:cap(w.usedUp)])
	clear(w.scratch[:cap(w.scratch)])
	*w = walk{
		visited: w.visited[:0], pending: w.pending[:0],
		tried: w.tried[:0], usedUp: w.usedUp[:0], scratch: w.scratch[:0], prompt: w.prompt,
	}
	w.prompt.Reset(nil)
	walks.Put(w)
}

// enter moves the request into a pool.
func (w *walk) enter(target Target) {
	w.target = target
	roster := target.Pool.roster(w.req.Team)
	w.candidates, w.lots = roster.candidates, roster.lots
	w.tries, w.retries, w.retrying = 0, 0, false
	w.tried = w.tried[:0]
	w.visited = append(w.visited, target.Pool)
	w.query = w.queryFor(target.Pool)
	w.query.Model, w.query.Stream, w.query.Prompt = target.Model, w.req.Stream, &w.prompt
}

// queryFor is what the filters of a pool have to know before any of its
// deployments has been tried.
func (w *walk) queryFor(p *Pool) selection.Query {
	candidates := p.For(w.req.Team)
	query := selection.Query{
		Tokens: w.req.PromptTokens, MaxOutput: w.req.MaxOutput,
		Regions: w.req.Regions, Size: w.req.Size,
		AboveWindow: w.query.AboveWindow, UsedUp: w.usedUp,
		AnyHealth: p.Policy.HealthPanic && selection.AllUnhealthy(candidates),
	}
	if p.tagged { // looked for once, and not among many deployments each time
		query.Tags = selection.TagsFor(candidates, w.req.Tags)
	}
	query.AskFor(candidates)
	return query
}
