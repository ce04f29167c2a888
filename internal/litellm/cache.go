package litellm

import (
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// defaultCacheTTL is how long LiteLLM's router keeps answers.
const defaultCacheTTL = caddy.Duration(time.Hour)

// answers are what LiteLLM keeps of answers.
type answers struct {
	on     bool
	ttl    caddy.Duration
	groups map[string]string // the caching group of a model group
}

// readCache reads whether answers are kept. Both the router and the library can say
// so. Where they are kept is not asked: in memory, and in the Redis that instances
// share.
func (cfg *settings) readCache(router, library *section) {
	a := &cfg.answers
	a.ttl, a.groups = defaultCacheTTL, make(map[string]string)
	byRouter, byLibrary := router.on("cache_responses"), library.on("cache")
	a.on = byRouter || byLibrary
	if params, ok := library.take("cache_params"); ok {
		cfg.readCacheParams(params)
	}
	for _, from := range []*section{router, library} {
		if v, ok := from.take("caching_groups"); ok {
			a.readGroups(v)
		}
	}
}

func (cfg *settings) readCacheParams(v value) {
	a, params := &cfg.answers, v.section()
	if !a.on {
		v.warn("has no effect without cache: true")
	}
	if ttl, ok := params.take("ttl"); ok {
		a.ttl = max(ttl.seconds(), caddy.Duration(time.Second))
	}
	if kind, ok := params.take("type"); ok {
		cfg.checkCacheType(kind)
	}
	if mode, ok := params.take("mode"); ok && strings.ToLower(mode.text()) == "default_off" {
		mode.warn("default_off has no counterpart, and nothing is kept; write cache in the pools that are to keep answers")
		a.on = false
	}
	if types, ok := params.take("supported_call_types"); ok {
		types.list()
		types.warn("is not used: answers to chats, completions, messages, embeddings and reranks are all kept")
	}
	params.rest(unsupportedCache)
}

// checkCacheType tells what is another cache here.
func (cfg *settings) checkCacheType(v value) {
	switch kind := v.text(); {
	case kind == "local":
	case kind == "redis" && cfg.redis != nil:
	case kind == "redis":
		v.warn("answers are kept in memory alone: %s", strings.TrimPrefix(noState, "is not used: "))
	case strings.Contains(kind, "semantic"):
		v.warn("answers are only given again to requests that ask exactly the same, and kept in memory")
	default:
		v.warn("answers are kept in memory")
	}
}

// readGroups reads lists of model groups that give each other's answers.
func (a *answers) readGroups(v value) {
	for _, list := range v.list() {
		var names []string
		for _, item := range list.list() {
			names = append(names, item.name())
		}
		for _, name := range names {
			if a.groups[name] == "" {
				a.groups[name] = strings.Join(names, ",")
			}
		}
	}
}

// policy is the router's cache.
func (a *answers) policy() *upstreams.Cache {
	if !a.on {
		return nil
	}
	return &upstreams.Cache{TTL: a.ttl}
}

// policyOf is what a model group's cache differs in; nil for the router's.
func (a *answers) policyOf(group string) *upstreams.Cache {
	if !a.on || a.groups[group] == "" {
		return nil
	}
	return &upstreams.Cache{TTL: a.ttl, Group: a.groups[group]}
}
