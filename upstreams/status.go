package upstreams

import (
	"encoding/json"
	"time"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/status"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// defaultStrategy is the name of what picks where the config says nothing.
const defaultStrategy = "weighted"

// What led to a state, where it is no error class.
const (
	reasonMaxParallel = "max_parallel"
	reasonRPM         = "rpm"
	reasonTPM         = "tpm"
	// reasonProvider is that the provider itself has said that its limits are
	// nearly used up.
	reasonProvider = "provider"
	// reasonImposed is a cooldown that no failure led to.
	reasonImposed = "imposed"
)

// Status is how the pool is doing. It comes after Provision, and is safe for
// concurrent use.
func (p *Pool) Status(now time.Time) status.Pool {
	s := status.Pool{
		Name: p.Name, Aliases: p.Aliases, Strategy: p.strategyName(),
		QueueDepth: p.engine.Queue.Waiting(), Queue: p.engine.Queue,
		Deployments: make([]status.Deployment, len(p.Deployments)),
	}
	share := selection.ShareOf(p.engine.All())
	for i, d := range p.Deployments {
		s.Deployments[i] = d.status(now)
		s.Deployments[i].Weight = share.Of(d.candidate)
	}
	return s
}

// strategyName is the name that the config calls the strategy by.
func (p *Pool) strategyName() string {
	var strategy struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(p.effective.StrategyRaw, &strategy) != nil || strategy.Name == "" {
		return defaultStrategy
	}
	return strategy.Name
}

func (d *Deployment) status(now time.Time) status.Deployment {
	c := d.candidate
	s := status.Deployment{
		ID: d.ID, Order: c.Order,
		InFlight: c.InFlight(), MaxParallel: c.MaxParallel,
		Requests: uint64(c.Requests()), Failures: uint64(c.Failures()),
		TTFTMS:      c.FirstToken.Value() * 1000,
		InputTokens: uint64(c.InputTokens()), OutputTokens: uint64(c.OutputTokens()),
		Shared: c.State,
	}
	if c.Price != nil {
		s.Cost = new(c.Cost())
	}
	requests, tokens := c.Minute.Used(now)
	s.RPM, s.TPM = limit(requests, d.RPM), limit(tokens, d.TPM)
	s.State, s.Reason = d.state(now, requests)
	if s.State == status.Cooling {
		// Rounded up: a cooldown that lasts is not over.
		s.CooldownRemainingMS = int64((c.Cooldown.Remaining(now) + time.Millisecond - 1) / time.Millisecond)
	}
	return s
}

func limit(used, limit int64) *status.Limit {
	if limit <= 0 {
		return nil
	}
	return &status.Limit{Used: float64(used), Limit: float64(limit)}
}

// state is what a request of any tags, with next to no prompt, would find. used is
// the number of requests of the minute.
func (d *Deployment) state(now time.Time, used int64) (state status.State, reason string) {
	c, query := d.candidate, selection.Query{Now: now}
	switch query.Check(c) {
	case selection.Unhealthy:
		return status.Unhealthy, ""
	case selection.CoolingDown:
		reason := c.Cooldown.Reason().String()
		if c.Cooldown.Reason() == retry.None {
			reason = reasonImposed
		}
		if c.Cooldown.State(now) == health.Probing {
			return status.Probing, reason
		}
		return status.Cooling, reason
	case selection.Limit:
		switch {
		case d.RPM > 0 && used >= d.RPM:
			return status.Limited, reasonRPM
		case c.Limiter != nil && !c.Limiter.Fits(now, query.TokensOn(c)):
			return status.Limited, reasonTPM
		}
		return status.Limited, reasonProvider
	case selection.Full:
		return status.Full, reasonMaxParallel
	}
	return status.Healthy, ""
}
