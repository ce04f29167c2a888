package upstreams

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// Policy says how a pool chooses among its deployments and what it does about
// time and failure. On the router it is the default of every pool; a pool
// overrides what it sets.
type Policy struct {
	// How to pick among the usable deployments of the lowest order.
	// Default: `weighted`.
	StrategyRaw json.RawMessage `json:"strategy,omitempty" caddy:"namespace=http.llm_router.strategies inline_key=name"`

	// Whether a request whose attempt failed is tried at once on another
	// deployment of the pool. Default: true.
	Failover *bool `json:"failover,omitempty"`

	// How often, and after which wait, a pool is tried again when all of its
	// deployments have failed a request.
	Retries *Retries `json:"retries,omitempty"`

	// When a deployment is left out because of its own failures, and for how long.
	Cooldown *Cooldown `json:"cooldown,omitempty"`

	// How long a request may take over all of its attempts until its answer
	// begins. While another attempt could follow, one attempt gets at most three
	// quarters of what is left. A client's `X-Stainless-Timeout` or
	// `X-Stainless-Read-Timeout` shortens it. An answer that has begun to stream
	// is bounded by `idle_timeout` instead. Default: `10m`.
	Deadline caddy.Duration `json:"deadline,omitempty"`

	// How long one attempt may take when the answer is not streamed.
	// Default: the deadline.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How long one streamed attempt may take until its first content event;
	// keep-alives do not count. Default: `timeout`.
	FirstTokenTimeout caddy.Duration `json:"first_token_timeout,omitempty"`

	// The longest silence inside an answer that has begun. Default: `2m`.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// Whether a stream that is cut after the client has part of it goes on from
	// another deployment, as long as that one's text begins with exactly what the
	// client already has. Without it, and on the first difference, the stream
	// ends with an error event. Default: false.
	Resume *bool `json:"resume,omitempty"`

	// When a second attempt goes beside one whose answer is late. A pool's own
	// replaces the router's whole. Default: never.
	Hedge *Hedge `json:"hedge,omitempty"`

	// How many requests may be in flight at once on a deployment that does not say
	// so itself. Default: no limit.
	MaxParallel int64 `json:"max_parallel,omitempty"`

	// Where requests wait when nothing of the pool can take them. A pool's own
	// replaces the router's whole. Default: nowhere, they are answered 429 at once.
	Queue *Queue `json:"queue,omitempty"`

	// Which requests are one session, so that they stay on one deployment. A pool's own
	// replaces the router's whole. Default: none.
	Affinity *Affinity `json:"affinity,omitempty"`

	// Where answers are kept for requests that ask exactly the same again. A pool's
	// own replaces the router's whole. Default: nowhere.
	Cache *Cache `json:"cache,omitempty"`

	// Whether the usage of a streamed chat or completion is asked for
	// (`stream_options.include_usage`) when the client did not. The event with it
	// is taken out again before the client sees it. Default: false.
	UsageInStream *bool `json:"usage_in_stream,omitempty"`

	// Whether requests are kept from deployments that are known to be too small for
	// them. A pool's own replace the router's whole. Default: they are, wherever
	// sizes are known.
	PreCallChecks *PreCallChecks `json:"pre_call_checks,omitempty"`

	// How long a deployment takes to get back to its full share after a
	// cooldown. Default: 0, at once.
	SlowStart caddy.Duration `json:"slow_start,omitempty"`

	// Whether all deployments are used when active health checks hold every one
	// of them for down. Default: true.
	HealthPanic *bool `json:"health_panic,omitempty"`

	// The pools to try, in this order, when this one has nothing left to try.
	Fallback []string `json:"fallback,omitempty"`

	// The pools to try when the prompt is too long for this one.
	ContextWindowFallback []string `json:"context_window_fallback,omitempty"`

	// The pools to try when a provider's content filter refused the request.
	// Without it a filtered request is never sent elsewhere.
	ContentPolicyFallback []string `json:"content_policy_fallback,omitempty"`

	// How many other pools one request may move on to. Default: 5.
	MaxFallbacks *int `json:"max_fallbacks,omitempty"`
}

const (
	defaultDeadline     = 10 * time.Minute
	defaultIdleTimeout  = 2 * time.Minute
	defaultMaxFallbacks = 5
)

// Over gives the policy with what it leaves open taken from defaults. A cooldown
// of the policy's own is on unless it says off itself, and its failure_rate takes
// the place of an inherited allowed_fails. A hedge, a queue, an affinity, a cache and
// checks of its own take nothing over.
func (p Policy) Over(defaults Policy) Policy {
	merged := inherit(reflect.ValueOf(p), reflect.ValueOf(defaults)).Interface().(Policy)
	if p.Cooldown != nil && defaults.Cooldown != nil {
		merged.Cooldown.Off = p.Cooldown.Off
		if p.Cooldown.FailureRate != nil {
			merged.Cooldown.AllowedFails = p.Cooldown.AllowedFails
		}
	}
	if p.Queue != nil {
		merged.Queue = p.Queue
	}
	if p.Affinity != nil {
		merged.Affinity = p.Affinity
	}
	if p.Hedge != nil {
		merged.Hedge = p.Hedge
	}
	if p.PreCallChecks != nil {
		merged.PreCallChecks = p.PreCallChecks
	}
	if p.Cache != nil {
		merged.Cache = p.Cache
	}
	return merged
}

// inherit gives value with its unset parts taken from defaults: field by field,
// through pointers to structs and key by key in maps.
func inherit(value, defaults reflect.Value) reflect.Value {
	switch {
	case defaults.IsZero():
		return value
	case value.IsZero():
		return defaults
	}
	switch value.Kind() {
	case reflect.Struct:
		merged := reflect.New(value.Type()).Elem()
		for i := range value.NumField() {
			merged.Field(i).Set(inherit(value.Field(i), defaults.Field(i)))
		}
		return merged
	case reflect.Pointer:
		if value.Elem().Kind() != reflect.Struct {
			return value
		}
		merged := reflect.New(value.Type().Elem())
		merged.Elem().Set(inherit(value.Elem(), defaults.Elem()))
		return merged
	case reflect.Map:
		merged := reflect.MakeMap(value.Type())
		for _, from := range []reflect.Value{defaults, value} {
			for _, key := range from.MapKeys() {
				merged.SetMapIndex(key, from.MapIndex(key))
			}
		}
		return merged
	}
	return value
}

func or[T any](p *T, def T) T {
	if p != nil {
		return *p
	}
	return def
}

func orDuration(d caddy.Duration, def time.Duration) time.Duration {
	if d != 0 {
		return time.Duration(d)
	}
	return def
}

// validate refuses values that make no sense, under their JSON names.
func (p *Policy) validate() error {
	for name, d := range map[string]caddy.Duration{
		"deadline": p.Deadline, "timeout": p.Timeout, "first_token_timeout": p.FirstTokenTimeout,
		"idle_timeout": p.IdleTimeout, "slow_start": p.SlowStart,
	} {
		if d < 0 {
			return fmt.Errorf("%s is negative", name)
		}
	}
	if p.MaxParallel < 0 {
		return fmt.Errorf("max_parallel is negative")
	}
	if p.MaxFallbacks != nil && *p.MaxFallbacks < 0 {
		return fmt.Errorf("max_fallbacks is negative")
	}
	if err := p.Hedge.validate(); err != nil {
		return fmt.Errorf("hedge: %w", err)
	}
	if err := p.Queue.validate(); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	if err := p.Affinity.validate(); err != nil {
		return fmt.Errorf("affinity: %w", err)
	}
	if err := p.PreCallChecks.validate(); err != nil {
		return fmt.Errorf("pre_call_checks: %w", err)
	}
	if err := p.Cache.validate(); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if err := p.Retries.validate(); err != nil {
		return fmt.Errorf("retries: %w", err)
	}
	if err := p.Cooldown.validate(); err != nil {
		return fmt.Errorf("cooldown: %w", err)
	}
	return nil
}

// engine turns the policy into what the engine works with; fallbacks are
// resolved by the router, which knows the pools.
func (p *Policy) engine() engine.Policy {
	e := engine.Policy{
		Retry:         p.Retries.engine(),
		Deadline:      orDuration(p.Deadline, defaultDeadline),
		Timeout:       time.Duration(p.Timeout),
		FirstToken:    time.Duration(p.FirstTokenTimeout),
		Idle:          orDuration(p.IdleTimeout, defaultIdleTimeout),
		Resume:        or(p.Resume, false),
		UsageInStream: or(p.UsageInStream, false),
		HealthPanic:   or(p.HealthPanic, true),
		MaxEjected:    1,
		Queue:         p.Queue.engine(),
		Hedge:         p.Hedge.engine(),
		MaxFallbacks:  or(p.MaxFallbacks, defaultMaxFallbacks),
	}
	e.Retry.Failover = or(p.Failover, true)
	if p.Cooldown != nil {
		e.MaxEjected = or(p.Cooldown.MaxEjected, 100) / 100
	}
	return e
}
