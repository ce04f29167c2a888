package engine

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
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

	ticket      health.Ticket
	carried     selection.Carried
	reservation selection.Reservation
	mark        selection.Mark
	turn        Attempt
	// recovered tells that the begin of the turn's answer has ended a cooldown.
	recovered bool

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
	w := walks.Get().(*walk)
	*w = walk{
		router: r, req: req, route: route, began: time.Now(),
		visited: w.visited[:0], pending: w.pending[:0],
		tried: w.tried[:0], usedUp: w.usedUp[:0], scratch: w.scratch[:0], prompt: w.prompt,
	}
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
	w.candidates = target.Pool.For(w.req.Team)
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
	return selection.Query{
		Tags: selection.TagsFor(candidates, w.req.Tags), Tokens: w.req.PromptTokens, MaxOutput: w.req.MaxOutput,
		AboveWindow: w.query.AboveWindow, UsedUp: w.usedUp,
		AnyHealth: p.Policy.HealthPanic && selection.AllUnhealthy(candidates),
	}
}

// choose filters and selects; false when no deployment of the pool may be
// attempted now.
func (w *walk) choose(ctx context.Context) (*selection.Candidate, bool) {
	switch {
	case w.place != nil:
		c := w.place
		w.place = nil
		return c, w.confirm(ctx, c)
	case w.retrying && !w.granted, w.mustWait():
		return nil, false
	case w.retrying:
		w.granted = false
	case w.tries > 0 && !w.mayFailOver():
		return nil, false
	}
	for range maxLooks {
		c, ok := w.pick()
		if !ok {
			return nil, false
		}
		if w.confirm(ctx, c) {
			return c, true
		}
	}
	return nil, false
}

// maxLooks is how often a request looks for a deployment that another one has
// not taken meanwhile; whoever loses that often is better served elsewhere.
const maxLooks = 8

// pick filters and selects, and takes what an attempt on the deployment needs;
// false when there is none.
func (w *walk) pick() (*selection.Candidate, bool) {
	for range maxLooks {
		usable := w.usable()
		if len(usable) == 0 {
			return nil, false
		}
		if c := w.target.Pool.Strategy.Pick(&w.query, usable); c != nil && w.begin(c) {
			return c, true
		}
	}
	return nil, false
}

// usable filters the pool. A retry goes to what has not been tried, else to
// what has not just failed, else to anything.
func (w *walk) usable() []*selection.Candidate {
	w.query.Now, w.query.Tried = time.Now(), w.tried
	if w.tries > 0 && !w.retrying {
		return w.sound()
	}
	usable := w.query.Filter(w.scratch[:0], w.candidates)
	if w.retrying && len(usable) == 0 {
		w.query.Tried = w.tried[len(w.tried)-1:]
		usable = w.query.Filter(usable, w.candidates)
	}
	if w.retrying && len(usable) == 0 {
		w.query.Tried = nil
		usable = w.query.Filter(usable, w.candidates)
	}
	w.scratch = usable[:0]
	return usable
}

// sound filters the pool for a failover. It passes over what has lately done
// nothing but fail; where nothing else is left, a failover there is a gamble that
// the budget pays for. Every request would otherwise go round the whole pool, and
// an outage of all deployments would multiply its own load.
func (w *walk) sound() []*selection.Candidate {
	w.paid = false
	avoid := slices.Clip(w.tried)
	for _, c := range w.candidates {
		if c.Failing(w.query.Now) {
			avoid = append(avoid, c)
		}
	}
	w.query.Tried = avoid
	usable := w.query.Filter(w.scratch[:0], w.candidates)
	w.query.Tried = w.tried
	if len(usable) == 0 && len(avoid) > len(w.tried) {
		usable = w.query.Filter(usable, w.candidates)
		if len(usable) > 0 {
			if w.paid = w.target.Pool.Policy.Retry.Budget.Withdraw(w.query.Now); !w.paid {
				usable = usable[:0]
			}
		}
	}
	w.scratch = usable[:0]
	return usable
}

// mayFailOver tells whether another deployment of the pool may do better.
func (w *walk) mayFailOver() bool {
	switch {
	case !w.mayMove():
		return false
	case w.last.Class == retry.ContextWindow:
		return w.query.AboveWindow > 0
	}
	return w.last.Class.Blames()
}

// mayMove tells whether requests may move on within the pool at all.
func (w *walk) mayMove() bool {
	return w.target.Pool.Policy.Retry.Failover && !w.req.NoFallback
}

// begin takes what an attempt needs: a place in flight, its share of the
// minute, and the probe where the deployment is on probation.
func (w *walk) begin(c *selection.Candidate) bool {
	if !c.Acquire() {
		return false
	}
	ticket, ok := c.Cooldown.Begin(w.query.Now)
	if !ok {
		c.Abandon()
		return false
	}
	tokens := w.query.TokensOn(c)
	if c.Limiter != nil {
		if w.reservation, ok = c.Limiter.Reserve(w.query.Now, tokens); !ok {
			ticket.Release()
			c.Abandon()
			return false
		}
	}
	w.ticket = ticket
	w.mark = c.Headroom.Take(tokens)
	return true
}

// confirm asks the other instances for the request's share of the minute, where
// they keep it together.
func (w *walk) confirm(ctx context.Context, c *selection.Candidate) bool {
	wait, ok := w.reservation.Confirm(ctx)
	if !ok {
		w.usedUp = append(w.usedUp, selection.UsedUp{Candidate: c, Until: time.Now().Add(wait)})
		w.query.UsedUp = w.usedUp
		w.ticket.Release()
		c.Release()
	}
	return ok
}

// attempt makes one round trip, judges it, and delivers its answer when it is
// good.
func (w *walk) attempt(ctx context.Context, x Exchange, c *selection.Candidate) Outcome {
	defer c.Release()
	defer w.reservation.Keep() // as estimated, where nothing better is known
	w.carry(c)
	defer w.carried.End()
	c.Asked()
	began := time.Now()
	if w.tries == 0 {
		w.target.Pool.Policy.Retry.Budget.Deposit(began)
	}
	w.tries++
	w.attempts++
	limit, byClient := w.limit(c)
	w.turn = Attempt{
		Target: w.target, Candidate: c,
		Limit: limit, Idle: cmp.Or(c.Limits.Idle, w.target.Pool.Policy.Idle), Resume: w.target.Pool.Policy.Resume,
		Number: w.attempts, Fallbacks: w.fallbacks,
		walk: w,
	}
	w.recovered = false
	defer w.ticket.Release() // for a panic on its way up; settled otherwise

	out := x.Attempt(ctx, &w.turn)
	if out.Class != retry.None {
		w.settle(c, began, out, out.Blameless || out.Final && w.delivered || out.Class == retry.Timeout && byClient)
		w.delivered = w.delivered || out.Final
		return out
	}
	c.Headroom.Believe(time.Now(), w.mark, w.turn.Headroom)
	w.answered()
	w.delivered = true
	out = x.Deliver(ctx, &w.turn)
	w.settle(c, began, out, false)
	if out.Class != retry.None { // the time for going on elsewhere
		w.deadline, w.ownLimit = time.Now().Add(w.target.Pool.Policy.Deadline), false
	}
	return out
}

// answered tells the deployment that its answer is good, as far as it goes. The
// other instances need not wait for the end of a long stream to know.
func (w *walk) answered() {
	w.turn.Candidate.Answered()
	w.carried.Answered()
	if w.ticket.Answered(time.Now()) {
		w.recovered = true
		w.turn.Candidate.Tell(retry.None, health.Effect{Recovered: true})
	}
}

// settle tells the deployment's cooldown and the observer what the attempt came
// to. A blameless failure, such as running into a limit that the client set,
// counts for nothing.
func (w *walk) settle(c *selection.Candidate, began time.Time, out Outcome, blameless bool) {
	now := time.Now()
	w.turn.Took = now.Sub(began)
	w.upstream += w.turn.Took
	w.account(began, out)
	var effect health.Effect
	switch {
	case out.Class == retry.None:
		effect.Recovered = w.ticket.Succeed(now)
	case out.Class == retry.Canceled, blameless:
		w.ticket.Release()
	default:
		if out.Class.Blames() {
			c.Failed(now)
		}
		effect = w.fail(c, now, out)
	}
	c.Tell(out.Class, effect)
	effect.Recovered = effect.Recovered || w.recovered
	w.time(c, now, out, blameless)
	w.remember(c, out)
	if w.router.Observer != nil {
		w.router.Observer.Attempted(&w.turn, out, effect)
	}
}

// fail settles a failure that is the deployment's own. One at a time in a pool,
// or two that fail together would each take the other for the one that stays.
func (w *walk) fail(c *selection.Candidate, now time.Time, out Outcome) health.Effect {
	p := w.target.Pool
	if w.tries > 1 && !w.retrying && !w.paid { // a failover that did not help costs what a retry does
		p.Policy.Retry.Budget.Charge(now)
	}
	p.failing.Lock()
	defer p.failing.Unlock()
	return w.ticket.Fail(now, health.Failure{
		Class: out.Class, Wait: out.Wait, Stated: out.Stated,
		Spare: func() bool { return w.spare(c, now) },
	})
}

// remember keeps what the next decision needs.
func (w *walk) remember(c *selection.Candidate, out Outcome) {
	w.last = out
	if i := slices.Index(w.tried, c); i >= 0 {
		w.tried = slices.Delete(w.tried, i, i+1)
	}
	w.tried = append(w.tried, c)
	if w.req.NoFallback { // what is tried again is the same deployment
		w.candidates = w.tried
	}
	switch out.Class {
	case retry.ContextWindow:
		w.query.AboveWindow = max(w.query.AboveWindow, c.ContextWindow)
		w.query.KnownWindow = true
	case retry.ContentPolicy:
		w.filteredBy = w.target.Pool
	}
}
