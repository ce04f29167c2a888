package litellm

import (
	"time"

	"github.com/caddyserver/caddy/v2"
)

// LiteLLM's defaults that are not the router's.
const (
	defaultRetries  = 2
	defaultTimeout  = caddy.Duration(6000 * time.Second)
	defaultCooldown = caddy.Duration(5 * time.Second)
	defaultAllowed  = 3 // means the failure rate, not a count
	defaultHops     = 5
)

// settings are router_settings and those of litellm_settings that LiteLLM's
// router falls back to.
type settings struct {
	retries       int
	retryAfter    caddy.Duration
	retryClasses  map[string]int
	groupClasses  map[string]map[string]int // by model group
	groupPlaces   map[string]place
	timeout       caddy.Duration // 0 is LiteLLM's default
	streamTimeout caddy.Duration

	cooldown cooldownSettings

	fallbacks     *fallbacks
	contextWindow *fallbacks
	contentPolicy *fallbacks
	maxFallbacks  *int

	weightedFailover bool
	strategy         strategy
	redis            *redis // nil shares nothing
	affinity         affinitySettings
	answers          answers
	tagFiltering     bool
	maxParallel      int64
	priority         string // of requests without one; empty is none
	preCallChecks    bool
	ignoreInvalid    bool
	aliases          *section
}

// readSettings reads router_settings and litellm_settings.
func readSettings(root *section) *settings {
	router, library := root.sub("router_settings"), root.sub("litellm_settings")
	both := func(key string) (value, bool) {
		v, ok := router.take(key)
		other, also := library.take(key)
		switch {
		case ok && also:
			other.warn("is not used, because router_settings.%s is set", key)
		case !ok:
			return other, also
		}
		return v, ok
	}
	cfg := &settings{retries: defaultRetries}
	if v, ok := both("num_retries"); ok {
		cfg.retries = int(v.whole())
	}
	if v, ok := router.take("retry_after"); ok {
		cfg.retryAfter = v.seconds()
	}
	if v, ok := router.take("retry_policy"); ok {
		cfg.retryClasses = v.section().classes("Retries", "is never tried again here")
	}
	cfg.readGroupPolicies(router)
	cfg.readTimeouts(router, library)
	cfg.cooldown.read(router, both)
	cfg.fallbacks = readFallbacks(both("fallbacks"))
	if v, ok := both("default_fallbacks"); ok {
		cfg.fallbacks.addDefault(v)
	}
	cfg.contextWindow = readFallbacks(both("context_window_fallbacks"))
	cfg.contentPolicy = readFallbacks(both("content_policy_fallbacks"))
	if v, ok := both("max_fallbacks"); ok {
		n := int(v.whole())
		cfg.maxFallbacks = &n
	}
	cfg.aliases = router.sub("model_group_alias")
	if aliases, ok := library.take("model_group_alias_map"); ok {
		aliases.warn("is not a key of the proxy; write router_settings.model_group_alias")
	}
	cfg.readStrategy(router)
	cfg.redis = readRedis(router)
	cfg.tagFiltering = router.on("enable_tag_filtering")
	if v, ok := router.take("tag_filtering_match_any"); ok && !v.boolean() {
		v.warn("has no counterpart: a deployment with any one of a request's tags is used")
	}
	if v, ok := router.take("default_max_parallel_requests"); ok {
		cfg.maxParallel = v.whole()
	}
	cfg.readPriority(router)
	cfg.readCache(router, library)
	cfg.ignoreInvalid = router.on("ignore_invalid_deployments")
	cfg.preCallChecks = router.on("enable_pre_call_checks")
	cfg.readPreCallChecks(router)
	router.rest(unsupportedRouter)
	library.rest(unsupportedLibrary)
	return cfg
}

func (cfg *settings) readGroupPolicies(router *section) {
	cfg.groupClasses, cfg.groupPlaces = make(map[string]map[string]int), make(map[string]place)
	for _, group := range router.sub("model_group_retry_policy").all() {
		cfg.groupPlaces[group.key] = group.at
		cfg.groupClasses[group.key] = group.section().classes("Retries", "is never tried again here")
	}
}

// readTimeouts reads the limits of one attempt. The library's wins over the
// router's, as in LiteLLM.
func (cfg *settings) readTimeouts(router, library *section) {
	if v, ok := router.take("timeout"); ok {
		cfg.timeout = v.seconds()
	}
	if v, ok := library.take("request_timeout"); ok {
		if cfg.timeout != 0 {
			router.values["timeout"].warn("is not used, because litellm_settings.request_timeout is set")
		}
		cfg.timeout = v.seconds()
	}
	if v, ok := router.take("stream_timeout"); ok {
		cfg.streamTimeout = v.seconds()
	}
}
