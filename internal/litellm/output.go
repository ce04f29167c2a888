package litellm

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

type object = map[string]any

// handler mirrors the JSON of the llm_router handler. That type's package
// imports this one.
type handler struct {
	Handler       string   `json:"handler"`
	Priority      string   `json:"priority,omitempty"`
	ClientOptions []string `json:"client_options,omitempty"`
	MaxBody       int64    `json:"max_body,omitempty"`
	upstreams.Policy
	Pools           []*upstreams.Pool `json:"pools,omitempty"`
	DefaultFallback []string          `json:"default_fallback,omitempty"`
}

// output writes the config: one server with the routes around the router, and
// what it shares with other instances.
func output(g *general, router *handler, shared *redis) []byte {
	router.MaxBody = g.maxBody
	probes := object{
		"match": []object{{"path": []string{"/health/liveliness", "/health/liveness", "/health/readiness"}}},
		"handle": []object{{
			"handler": "static_response", "status_code": http.StatusOK,
			"headers": http.Header{"Content-Type": {"application/json"}},
			"body":    `{"status":"healthy"}`,
		}},
	}
	models := object{"handle": []any{
		object{"handler": "headers", "request": object{"delete": g.headers()}},
		router,
		refusal(http.StatusNotFound, "There is nothing at this path.", "not_found"),
	}}
	routes := slices.Concat([]object{probes}, g.guards(), paths, []object{models})
	apps := object{"http": object{"servers": object{"litellm": object{
		"listen":          []string{":" + g.port},
		"automatic_https": object{"disable": true},
		"routes":          routes,
	}}}}
	if shared != nil {
		apps["llm_router"] = object{"redis": shared}
	}
	adapted, err := json.Marshal(object{"apps": apps})
	if err != nil { // texts, numbers and lists always marshal
		panic(err)
	}
	return adapted
}

// paths make every path what LiteLLM puts behind an api_base: without /v1. The
// list of models has it, because the router looks for it there.
var paths = []object{
	{ // Azure's clients name the model in the path, and in the body too
		"match": []object{{"path": []string{"/openai/deployments/*", "/engines/*"}}},
		"handle": []object{{"handler": "rewrite", "path_regexp": []object{{
			"find":    "^/(?:openai/deployments|engines)/.+?/(chat/completions|completions|embeddings|images/.+|audio/.+|responses)$",
			"replace": "/$1",
		}}}},
	},
	{
		"match":  []object{{"method": []string{"GET", "HEAD"}, "path": []string{"/models", "/models/*"}}},
		"handle": []object{{"handler": "rewrite", "uri": "/v1{http.request.uri}"}},
	},
	{
		"match":  []object{{"path": []string{"/v1/*"}, "not": []object{{"path": []string{"/v1/models", "/v1/models/*"}}}}},
		"handle": []object{{"handler": "rewrite", "strip_path_prefix": "/v1"}},
	},
}

// handler gives the router with what counts for every pool.
func (m *models) handler(pools []*upstreams.Pool) *handler {
	cfg := m.cfg
	h := &handler{
		Handler: "llm_router", Pools: pools,
		// What LiteLLM lets every request set for itself.
		ClientOptions: []string{"fallbacks", "retries", "timeout", "priority", "cache", "mock_testing"},
		Priority:      cfg.priority,
	}
	h.Queue = cfg.queue()
	h.Affinity = cfg.affinity.policy()
	h.Cache = cfg.answers.policy()
	h.Failover = &cfg.weightedFailover
	h.Retries = cfg.retryPolicy(pools)
	h.Cooldown = cfg.cooldown.policy()
	h.MaxFallbacks = cfg.maxFallbacks
	h.StrategyRaw = cfg.strategy.json()
	h.DefaultFallback = m.defaults(cfg.fallbacks)
	h.ContextWindowFallback = m.defaults(cfg.contextWindow)
	h.ContentPolicyFallback = m.defaults(cfg.contentPolicy)
	h.Timeout, h.FirstTokenTimeout = cfg.timeout, cfg.streamTimeout
	h.Deadline = cfg.deadline(pools)
	if cfg.timeout > defaultIdle {
		h.IdleTimeout = cfg.timeout // or a silence would be cut that LiteLLM waits for
	}
	if anyOf(pools, func(d *upstreams.Deployment) bool { return len(d.Tags) > 0 }) {
		h.ClientOptions = append(h.ClientOptions, "tags")
	}
	// A region that is asked for is a promise: without a deployment in it, too.
	if cfg.preCallChecks || anyOf(pools, func(d *upstreams.Deployment) bool { return d.Region != "" }) {
		h.ClientOptions = append(h.ClientOptions, "region")
	}
	if !cfg.preCallChecks && anyOf(pools, func(d *upstreams.Deployment) bool { return d.MaxInput > 0 }) {
		h.PreCallChecks = &upstreams.PreCallChecks{Off: true}
	}
	return h
}

// anyOf tells whether something is so of any deployment.
func anyOf(pools []*upstreams.Pool, is func(*upstreams.Deployment) bool) bool {
	return slices.ContainsFunc(pools, func(p *upstreams.Pool) bool { return slices.ContainsFunc(p.Deployments, is) })
}

// defaultIdle is the router's own idle_timeout.
const defaultIdle = caddy.Duration(2 * time.Minute)

// retryPolicy gives the router's retries. LiteLLM retries timeouts like other
// failures, and has no budget for retries.
func (cfg *settings) retryPolicy(pools []*upstreams.Pool) *upstreams.Retries {
	r := &upstreams.Retries{Count: &cfg.retries, InitialBackoff: cfg.retryAfter, Classes: make(map[string]int)}
	if cfg.retries > 0 {
		r.Classes["timeout"] = cfg.retries
	}
	maps.Copy(r.Classes, cfg.retryClasses)
	most := mostRetries(r)
	for _, pool := range pools {
		most = max(most, mostRetries(pool.Retries))
	}
	if most > 0 {
		percent := 100 * float64(most)
		r.BudgetPercent = &percent
	}
	return r
}

// mostRetries is how often a request is tried again at most.
func mostRetries(r *upstreams.Retries) int {
	if r == nil {
		return 0
	}
	most := 0
	if r.Count != nil {
		most = *r.Count
	}
	for _, n := range r.Classes {
		most = max(most, n)
	}
	return most
}

// deadline is the limit of a whole request, which LiteLLM does not have: what
// the limits of its attempts add up to when one is set, else LiteLLM's default
// for one attempt.
func (cfg *settings) deadline(pools []*upstreams.Pool) caddy.Duration {
	longest := max(cfg.timeout, cfg.streamTimeout)
	if cfg.timeout == 0 {
		longest = defaultTimeout
	}
	attempts := 1 + mostRetries(cfg.retryPolicy(pools))
	for _, pool := range pools {
		attempts = max(attempts, len(pool.Deployments))
		for _, d := range pool.Deployments {
			longest = max(longest, d.Timeout, d.FirstTokenTimeout)
		}
	}
	if cfg.timeout == 0 && longest == defaultTimeout {
		return defaultTimeout
	}
	hops := defaultHops
	if cfg.maxFallbacks != nil {
		hops = *cfg.maxFallbacks
	}
	total := time.Duration(longest).Seconds() * float64(attempts) * float64(1+hops)
	return caddy.Duration(min(total, maxSeconds) * float64(time.Second))
}
