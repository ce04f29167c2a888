// Package engine takes a request through its attempts: which pool, which
// deployment, what a failure means, whether to fail over, retry, fall back or
// give up. It makes no connection itself; an Exchange does.
package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/queue"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// Pool is what a client calls a model: the deployments that can serve it and
// the rules for choosing among them.
type Pool struct {
	Name     string
	Strategy selection.Strategy
	Policy   Policy

	// Sessions are those that the pool keeps on deployments; nil keeps none.
	Sessions *affinity.Sessions

	// Queue is where requests wait for one of the pool's deployments. It goes on
	// when another configuration is loaded.
	Queue *queue.Queue

	// Upstream is what the pool stands for, for the caller's own use.
	Upstream any

	// Fallback lists where a request goes when the pool is used up;
	// ContextWindow and ContentPolicy where it goes when the prompt was too
	// long or filtered.
	Fallback, ContextWindow, ContentPolicy []Target

	all    []*selection.Candidate
	shared roster
	teams  map[string]*roster
	tagged bool // some candidate has tags

	failing sync.Mutex // held while a failure may cool a deployment; see walk.fail
}

// NewPool makes a pool of candidates, indexed by team.
func NewPool(name string, candidates []*selection.Candidate) *Pool {
	p := &Pool{Name: name, all: candidates, Strategy: selection.Weighted{}, Queue: new(queue.Queue)}
	for _, c := range candidates {
		p.tagged = p.tagged || len(c.Tags) > 0
		if len(c.Teams) == 0 {
			p.shared.candidates = append(p.shared.candidates, c)
			continue
		}
		if p.teams == nil {
			p.teams = make(map[string]*roster)
		}
		for _, team := range c.Teams {
			own := p.teams[team]
			if own == nil {
				own = new(roster)
				p.teams[team] = own
			}
			if !slices.Contains(own.candidates, c) { // named twice it would count twice
				own.candidates = append(own.candidates, c)
			}
		}
	}
	p.shared.lots = selection.NewLots(p.shared.candidates)
	for _, own := range p.teams {
		own.lots = selection.NewLots(own.candidates)
	}
	return p
}

// roster is what a team may use of a pool.
type roster struct {
	candidates []*selection.Candidate
	lots       *selection.Lots
}

// All gives every candidate of the pool, in the order of the configuration.
func (p *Pool) All() []*selection.Candidate { return p.all }

// For gives the candidates that a team may use: its own where it has any, and
// only those; else the ones without a team.
func (p *Pool) For(team string) []*selection.Candidate { return p.roster(team).candidates }

func (p *Pool) roster(team string) *roster {
	if team != "" {
		if own := p.teams[team]; own != nil {
			return own
		}
	}
	return &p.shared
}

// Serves tells whether a team may use any deployment of the pool.
func (p *Pool) Serves(team string) bool { return len(p.For(team)) > 0 }

// Policy is what a pool does about time and failure.
type Policy struct {
	Retry retry.Policy
	// Deadline bounds a request over all of its attempts until the first byte
	// reaches the client.
	Deadline time.Duration
	// Timeout bounds one attempt that does not stream; 0 is the deadline.
	Timeout time.Duration
	// FirstToken bounds one streamed attempt until its first content event; 0
	// is Timeout.
	FirstToken time.Duration
	// Idle bounds the silence inside an answer that has begun; 0 is no bound.
	Idle time.Duration
	// Resume lets a stream that was cut go on from another deployment.
	Resume bool
	// UsageInStream asks upstreams for the usage of streams whose clients do not.
	UsageInStream bool
	// HealthPanic uses every deployment when all of them are unhealthy.
	HealthPanic bool
	// MaxEjected is the share of an order's deployments that counts and rates
	// may cool at once, from 0 to 1; one always may.
	MaxEjected float64
	// Queue bounds who may wait for a place.
	Queue QueuePolicy
	// Hedge lets a second attempt go beside one that is late.
	Hedge HedgePolicy
	// MaxFallbacks bounds how many other pools a request may move on to.
	MaxFallbacks int
}

// Target is a pool under the name by which it was asked for.
type Target struct {
	Pool *Pool
	// Model is what a deployment without a model of its own is asked for: the
	// pool's name, or the requested name when the pool is a wildcard.
	Model string
	// Star is what the pool's "*" stands for in this request.
	Star string
}
