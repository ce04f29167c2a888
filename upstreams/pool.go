// Package upstreams holds what a router's pools and deployments are configured
// with, and makes the round trips to them, over Caddy's reverse proxy.
package upstreams

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/internal/prices"
	"github.com/llmrouter/caddy-llm-router/internal/state"
	"github.com/llmrouter/caddy-llm-router/selection"
	"github.com/llmrouter/caddy-llm-router/selection/strategies"
)

// Pool is what clients call a model: a public name and the deployments that
// can serve it.
type Pool struct {
	// The model name that clients ask for. One `*` stands for any text, as in
	// `openai/*`; exact names win over wildcards, and the wildcard with the most
	// literal characters over the others.
	Name string `json:"name"`

	// Other names for the pool.
	Aliases []string `json:"aliases,omitempty"`

	Policy

	// The deployments that serve the pool.
	Deployments []*Deployment `json:"deployments,omitempty"`

	effective Policy
	engine    *engine.Pool
	held      held // its entry of states
	counters  counted[*metrics.Pool]

	namers       []namer // of its sessions
	heldSessions held    // their entry of states
	endSharing   func()  // with other instances; nil where there are none

	answers     *Answers
	heldAnswers held // their entry of states
}

// Shared is what the pools of a router have in common.
type Shared struct {
	// Store connects deployments with themselves in other instances.
	Store state.Store
	// Transports are the transports that deployments may share.
	Transports *Transports
	// Prices say what models cost and hold; nil says nothing.
	Prices *prices.Table
}

// Provision sets up the pool and its deployments; what the pool's policy leaves
// open comes from defaults.
func (p *Pool) Provision(ctx caddy.Context, defaults Policy, shared Shared) error {
	if p == nil {
		return errors.New("a pool is null")
	}
	if len(p.Deployments) == 0 {
		return fmt.Errorf("pool %q has no deployments", p.Name)
	}
	star := false
	for _, name := range append([]string{p.Name}, p.Aliases...) {
		if err := validateName(name); err != nil {
			return err
		}
		star = star || strings.Contains(name, "*")
	}
	p.effective = p.Policy.Over(defaults)
	if err := p.effective.validate(); err != nil {
		return fmt.Errorf("pool %q: %w", p.Name, err)
	}
	cooldown := p.effective.Cooldown.engine(p.effective.SlowStart)
	ids := make(map[string]bool)
	candidates := make([]*selection.Candidate, 0, len(p.Deployments))
	for i, d := range p.Deployments {
		if d == nil || d.ID == "" {
			return fmt.Errorf("pool %q: deployment %d has no id", p.Name, i)
		}
		if ids[d.ID] {
			return fmt.Errorf("pool %q: two deployments have the id %q", p.Name, d.ID)
		}
		ids[d.ID] = true
		if !star && strings.Contains(d.Model, "*") { // which would be sent without it
			return fmt.Errorf("pool %q: deployment %q: model %q has a *, and no name of the pool has one for it to stand for", p.Name, d.ID, d.Model)
		}
		if err := d.provision(ctx, p.Name, &p.effective, cooldown, shared); err != nil {
			return fmt.Errorf("pool %q: deployment %q: %w", p.Name, d.ID, err)
		}
		candidates = append(candidates, d.candidate)
	}
	p.shareWeights()
	p.engine = engine.NewPool(p.Name, candidates)
	p.engine.Policy = p.effective.engine()
	p.engine.Upstream = p
	var err error
	if p.engine.Queue, err = p.takeQueue(); err != nil {
		return fmt.Errorf("pool %q: %w", p.Name, err)
	}
	if err := p.keepSessions(shared.Store); err != nil {
		return fmt.Errorf("pool %q: %w", p.Name, err)
	}
	if err := p.takeAnswers(shared.Store); err != nil {
		return fmt.Errorf("pool %q: %w", p.Name, err)
	}
	return p.loadStrategy(ctx)
}

func validateName(name string) error {
	switch {
	case name == "":
		return errors.New("a pool has no name")
	case strings.Count(name, "*") > 1:
		return fmt.Errorf("pool name %q has more than one *", name)
	}
	return nil
}

// shareWeights gives deployments without a weight the weight 1 when another of
// the pool has one.
func (p *Pool) shareWeights() {
	weighted := false
	for _, d := range p.Deployments {
		weighted = weighted || d.Weight != nil
	}
	for _, d := range p.Deployments {
		if weighted {
			d.candidate.Weight = or(d.Weight, 1)
		}
	}
}

// loadStrategy loads the guest module that picks among the pool's deployments.
// A loaded field is emptied by Caddy, so that it is loaded off a copy: the same
// text may come from the router's defaults for many pools.
func (p *Pool) loadStrategy(ctx caddy.Context) error {
	if p.effective.StrategyRaw == nil {
		return nil
	}
	policy := Policy{StrategyRaw: p.effective.StrategyRaw}
	mod, err := ctx.LoadModule(&policy, "StrategyRaw")
	if err != nil {
		return fmt.Errorf("pool %q: loading strategy: %w", p.Name, err)
	}
	strategy, ok := mod.(selection.Strategy)
	if !ok {
		return fmt.Errorf("pool %q: strategy %T cannot pick deployments", p.Name, mod)
	}
	p.engine.Strategy = strategy
	if weighted, ok := mod.(*strategies.Weighted); ok { // by which the engine knows it
		p.engine.Strategy = weighted.Weighted
	}
	return nil
}

// Engine gives the pool as the engine knows it; nil before Provision.
func (p *Pool) Engine() *engine.Pool { return p.engine }

// Fallbacks gives the names of the pools that the pool's requests may move on
// to: in general, for prompts that are too long, and for filtered ones.
func (p *Pool) Fallbacks() (general, contextWindow, contentPolicy []string) {
	return p.effective.Fallback, p.effective.ContextWindowFallback, p.effective.ContentPolicyFallback
}

// Names tells whether the pool's own configuration, rather than a default,
// names a fallback.
func (p *Pool) Names(fallback string) bool {
	return slices.Contains(p.Fallback, fallback) ||
		slices.Contains(p.ContextWindowFallback, fallback) ||
		slices.Contains(p.ContentPolicyFallback, fallback)
}

// Cleanup releases what the deployments took, also after a failed Provision.
func (p *Pool) Cleanup() error {
	if p == nil {
		return nil
	}
	p.counters.release()
	if p.endSharing != nil {
		p.endSharing()
	}
	errs := []error{p.held.release(), p.heldSessions.release(), p.heldAnswers.release()}
	for _, d := range p.Deployments {
		errs = append(errs, d.cleanup())
	}
	return errors.Join(errs...)
}
