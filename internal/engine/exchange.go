package engine

import (
	"context"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// Request is what the engine has to know of a client's request.
type Request struct {
	// Model is the name that the client asked for.
	Model string
	// Team and Tags say who is asking, and for what.
	Team string
	Tags []string
	// PromptTokens estimates the prompt's size.
	PromptTokens int
	// MaxOutput is the longest answer that the request allows, in tokens; 0 is any.
	MaxOutput int
	// Prompt tells prompts that begin alike; nil is unknown.
	Prompt selection.PrefixReader
	// Session tells the session that the request belongs to; nil is none.
	Session SessionReader
	// Size is what it takes of a context window.
	Size selection.Size
	// Regions are those where it may be served; none is anywhere.
	Regions []string
	// Stream tells that the answer is to be streamed.
	Stream bool
	// Timeout is the client's own limit for the whole request; 0 is none.
	Timeout time.Duration
	// FirstToken is the client's own limit for an attempt's first content, where
	// it is shorter than the pool's; 0 is none.
	FirstToken time.Duration
	// Retries replaces the first pool's number of retries, when RetriesSet.
	Retries    int
	RetriesSet bool
	// Fallbacks replace what the first pool falls back to, whatever the failure,
	// when FallbacksSet; ContextWindow and ContentPolicy where it goes after
	// those failures, when there are any.
	Fallbacks                    []Target
	FallbacksSet                 bool
	ContextWindow, ContentPolicy []Target
	// NoFallback turns failover and fallback off.
	NoFallback bool
	// Mock is a failure to make up instead of trying the first pool; retry.None
	// is none.
	Mock retry.Class
	// Repeated tells that the client is retrying by itself: no retries of ours.
	Repeated bool
	// Priority says how important the request is, when PrioritySet: the smaller,
	// the more.
	Priority    int
	PrioritySet bool
}

// Attempt is one round trip that the engine asks for.
type Attempt struct {
	Target    Target
	Candidate *selection.Candidate
	// Limit bounds the attempt until its answer is known to be good: to the
	// first content event of a stream, else to the end of the answer.
	Limit time.Duration
	// Idle bounds the silence inside the answer after that; 0 is no bound.
	Idle time.Duration
	// Resume asks to keep what is needed to go on elsewhere after a cut.
	Resume bool
	// Number counts the attempts of the request from 1; Fallbacks the pools
	// left behind.
	Number, Fallbacks int
	// Made is how many attempts the request has made by now, those beside this one
	// included.
	Made int
	// Hedge tells that the attempt was made because another one was late.
	Hedge bool
	// Headroom is what a good answer says is left of the provider's limits. The
	// Exchange sets it before Attempt returns.
	Headroom retry.Headroom
	// AnswerID is the id of the answer where a request may name it to go on with it, in
	// pools that keep sessions. The Exchange sets it before Attempt returns; it is
	// valid until Deliver.
	AnswerID []byte
	// Took is how long the attempt lasted, with the delivery of its answer; 0 until
	// then.
	Took time.Duration

	walk *walk
}

// Answered tells the engine while the attempt still lasts that its answer is
// good: a connection that was upgraded may go on for hours. It is called on the
// request's goroutine.
func (a *Attempt) Answered() {
	if a.walk != nil {
		a.walk.answered(&a.walk.try)
	}
}

// Priority is how important the request is, the smaller the more; false and 0 where
// nobody has said.
func (a *Attempt) Priority() (priority int, set bool) {
	if a.walk == nil || !a.walk.req.PrioritySet {
		return 0, false
	}
	return a.walk.req.Priority, true
}

// Outcome is what an attempt, or the delivery of its answer, came to.
type Outcome struct {
	// Class is retry.None for a good answer.
	Class retry.Class
	// Wait is how long the upstream asked to wait, when Stated.
	Wait   time.Duration
	Stated bool
	// Final tells that nothing else can be tried: the client has bytes that no
	// other answer continues. In an attempt to go on with an answer it is
	// nobody's fault.
	Final bool
	// Blameless tells that the deployment is not to be blamed, although another
	// one may do better.
	Blameless bool
	// Err says what happened where there was no answer.
	Err error

	// Usage is what the attempt has cost. Of a complete answer it is Reported, or
	// Unknown where the answer does not tell; of one that was cut it is Estimated;
	// an attempt without content has cost nothing. It comes with the outcome that
	// ends the attempt: of the delivery, or of an attempt that failed.
	Usage usage.Usage
	// Invalid tells that the answer is complete and has an account that cannot be
	// believed, or not be read for the size of the stream's events. Usage is
	// Unknown then.
	Invalid bool
	// Streamed tells that the answer was a stream of events.
	Streamed bool
	// FirstToken is the time from the start of the attempt to the first content of
	// a stream, or to the end of any other answer; 0 is unknown.
	FirstToken time.Duration
	// Dropped counts the events of the attempt's stream that were taken out of it
	// because their data was not JSON. It comes with the Usage.
	Dropped int
}

// Exchange is a client's request on its way: it makes round trips and holds
// their answers back until the engine knows what they are worth. It is used by
// one goroutine.
type Exchange interface {
	// Attempt makes one round trip. Nothing but interim answers
	// (1xx) reaches the client; a bad answer is
	// kept, in case it has to be passed on after all.
	Attempt(ctx context.Context, a *Attempt) Outcome
	// Deliver passes the good answer of the last attempt on to the client, to
	// its end. After it, Attempt continues a stream that was cut.
	Deliver(ctx context.Context, a *Attempt) Outcome
}

// Observer hears of what happens to a request. Its methods are called on the
// request's goroutine and must not block.
type Observer interface {
	// Attempted follows every attempt, with what it did to the deployment.
	Attempted(a *Attempt, out Outcome, effect health.Effect)
	// FellBack follows every move to another pool.
	FellBack(from *Pool, to Target, because retry.Class)
	// Hedged follows every hedge, when it and the attempt beside it are over. It has
	// won if its answer is the one that the client got.
	Hedged(hedge, beside *Attempt, won bool)
}

// Result is how a request ended.
type Result struct {
	// Class is retry.None when the client got its answer whole, and only then.
	// Where nothing could be tried it is RateLimit if Limited, Overloaded if
	// Unavailable; ContextWindow if the request is too long for every deployment;
	// and NotFound if its tags or its regions leave none.
	Class retry.Class
	// Pool is the last pool that the request was in; nil when the model means none.
	Pool *Pool
	// Candidate is the last deployment that was tried, and Tried its pool; nil is none.
	Candidate *selection.Candidate
	Tried     *Pool
	// Attempts are the round trips made, Fallbacks the pools left behind.
	Attempts, Fallbacks int
	// Delivered tells that the client has the answer, or as much of it as there
	// will be.
	Delivered bool
	// Unavailable tells that the last pool was not even tried, because of
	// cooldowns, health or limits; Limited that only limits and rate limits
	// were in the way.
	Unavailable, Limited bool
	// Out is what keeps every deployment out for good, where nothing could be tried:
	// its Largest one is the best that a request that is too long could have had.
	Out     selection.Reason
	Largest *selection.Candidate
	// Wait is the shortest time after which trying again is of use; 0 is unknown.
	Wait time.Duration
	// Affinity is what became of the request's session with the last answer that was
	// good as far as it went.
	Affinity affinity.Result
	// Took is how long the request was here; of that, Upstream was spent on
	// attempts and Waited between them.
	Took, Upstream, Waited time.Duration
	// FirstToken is the time from the start of the request to the first content of
	// its stream; 0 where there was none.
	FirstToken time.Duration
	// Usage is what all attempts have cost together: a stream that was cut and went
	// on elsewhere has cost both. It is Estimated when a part of it is, and Unknown
	// when the cost of an answer is, or when nothing has cost anything.
	Usage usage.Usage
	// Cost is what the Usage costs in US$, when CostKnown: when the Usage is not
	// Unknown, and every deployment that it is of has a price.
	Cost      float64
	CostKnown bool
}

// Deployment is the id of the last deployment that was tried, or empty.
func (r *Result) Deployment() string {
	if r.Candidate == nil {
		return ""
	}
	return r.Candidate.ID
}
