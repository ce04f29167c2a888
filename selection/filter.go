package selection

import (
	"slices"
	"time"
)

// Reason says why a candidate is out.
type Reason uint8

const (
	// Usable is no reason: the candidate may serve.
	Usable Reason = iota
	// Team: the deployment is for other teams.
	Team
	// Tags: the deployment is for requests with other tags.
	Tags
	// Region: the request may not be served where the deployment is.
	Region
	// MaxOutput: the deployment's answers are shorter than the request allows.
	MaxOutput
	// ContextWindow: the prompt is known not to fit.
	ContextWindow
	// Unhealthy: active health checks say that it is down.
	Unhealthy
	// CoolingDown: its own failures keep it out for a while.
	CoolingDown
	// Tried: this request has tried it already.
	Tried
	// Limit: its requests or tokens of this minute are used up, or its provider has
	// said that they will be.
	Limit
	// Full: it carries as many requests as it may.
	Full
	// Order: a lower order is usable.
	Order
)

var reasonNames = [...]string{
	Usable: "", Team: "team", Tags: "tags", Region: "region", MaxOutput: "max_output",
	ContextWindow: "context_window", Unhealthy: "unhealthy", CoolingDown: "cooldown", Tried: "tried", Limit: "limit", Full: "full", Order: "order",
}

// String is the name of the filter, as operators see it.
func (r Reason) String() string { return reasonNames[r] }

// Lasts tells whether the reason is the request's own, so that it is the same at
// any other time.
func (r Reason) Lasts() bool {
	switch r {
	case Team, Tags, Region, MaxOutput, ContextWindow:
		return true
	}
	return false
}

// Query is what the filters and strategies know of a request.
type Query struct {
	Now time.Time
	// Tags that the request carries; see Match.
	Tags TagSet
	// Regions are those where the request may be served; none is anywhere.
	Regions []string
	// Tokens estimates the prompt's size; MaxOutput is the longest answer that the
	// request allows, in tokens, 0 being any.
	Tokens, MaxOutput int
	// Model is what the request asks of a deployment that has no name of its own for
	// the model.
	Model string
	// Stream tells that the answer is to be streamed.
	Stream bool
	// Prompt tells prompts that begin alike; nil is unknown.
	Prompt *Prompt
	// Size is what the request takes of a context window.
	Size Size
	// MinOutput leaves out candidates whose answers are known to be shorter, in
	// tokens; 0 is off. See AskFor.
	MinOutput int
	// AboveWindow leaves out candidates whose window is known to be no larger
	// than this many tokens, after a prompt was too long for one of that size;
	// 0 is off.
	AboveWindow int
	// KnownWindow leaves out candidates of unknown window too.
	KnownWindow bool
	// Tried are the candidates that this request has tried.
	Tried []*Candidate
	// UsedUp are those whose limits turned out to be used up by other instances.
	UsedUp []UsedUp
	// AnyHealth ignores active health checks.
	AnyHealth bool
}

// Check gives the first reason that keeps c out, but for team and order, which
// are not c's alone to decide.
func (q *Query) Check(c *Candidate) Reason {
	switch {
	case q.Tags.mode != anyTag && !q.Tags.Match(c):
		return Tags
	case !q.inRegion(c):
		return Region
	case c.MaxOutput > 0 && c.MaxOutput < q.MinOutput:
		return MaxOutput
	case (q.KnownWindow || c.windowed()) && q.tooSmall(c):
		return ContextWindow
	case c.Healthy != nil && !q.AnyHealth && !c.Healthy():
		return Unhealthy
	case !c.Cooldown.Well() && !c.Cooldown.Usable(q.Now):
		return CoolingDown
	case slices.Contains(q.Tried, c):
		return Tried
	case (c.Limiter != nil || c.Headroom.known.Load() || len(q.UsedUp) > 0) && q.limited(c):
		return Limit
	case c.MaxParallel > 0 && c.InFlight() >= c.MaxParallel:
		return Full
	}
	return Usable
}

// UsedUp is a candidate whose limits are used up until then.
type UsedUp struct {
	Candidate *Candidate
	Until     time.Time
}

// limited reports whether the request would go beyond c's limits, as they are
// configured or as its provider has stated them.
func (q *Query) limited(c *Candidate) bool {
	tokens := q.TokensOn(c)
	return c.Limiter != nil && !c.Limiter.Fits(q.Now, tokens) ||
		!c.Headroom.Fits(q.Now, tokens) || q.usedUpFor(c) > 0
}

// LimitWait is how long it takes until the request is within c's limits, when no
// other is let in meanwhile.
func (q *Query) LimitWait(c *Candidate) time.Duration {
	tokens := q.TokensOn(c)
	wait := max(c.Headroom.Wait(q.Now, tokens), q.usedUpFor(c))
	if c.Limiter != nil {
		wait = max(wait, c.Limiter.Wait(q.Now, tokens))
	}
	return wait
}

func (q *Query) usedUpFor(c *Candidate) time.Duration {
	for _, u := range q.UsedUp {
		if u.Candidate == c && q.Now.Before(u.Until) {
			return u.Until.Sub(q.Now)
		}
	}
	return 0
}

// TokensOn estimates what the request takes of c's limits: its prompt, and an
// answer of the length that c's answers have, as far as the request allows.
func (q *Query) TokensOn(c *Candidate) int {
	output := int(c.Output.Value())
	if q.MaxOutput > 0 {
		output = min(output, q.MaxOutput)
	}
	return q.Tokens + output
}

// inRegion tells whether the request may be served where c is. Where that is not
// known it may not: that it stays in its region is a promise.
func (q *Query) inRegion(c *Candidate) bool {
	return len(q.Regions) == 0 || slices.Contains(q.Regions, c.Region)
}

func (q *Query) tooSmall(c *Candidate) bool {
	return q.KnownWindow && c.Window() == 0 || !q.holds(c)
}

// holds tells whether c is not known to be too small for the request.
func (q *Query) holds(c *Candidate) bool {
	window := c.Window()
	return window == 0 || window > q.AboveWindow && q.Size.Fits(c)
}

// May tells whether c, of whichever pool, can serve the request as far as its region
// and what is known of its window go.
func (q *Query) May(c *Candidate) bool { return q.inRegion(c) && q.holds(c) }

// Filter appends to dst the usable candidates of all that share the lowest
// order, and returns it.
func (q *Query) Filter(dst, all []*Candidate) []*Candidate {
	first := len(dst)
	for _, c := range all {
		if len(dst) > first && c.Order > dst[first].Order {
			continue
		}
		if q.Check(c) != Usable {
			continue
		}
		if len(dst) > first && c.Order < dst[first].Order {
			dst = dst[:first]
		}
		dst = append(dst, c)
	}
	return dst
}

// AllUnhealthy reports whether active health checks hold every candidate for down.
func AllUnhealthy(all []*Candidate) bool {
	for _, c := range all {
		if c.healthy() {
			return false
		}
	}
	return len(all) > 0
}
