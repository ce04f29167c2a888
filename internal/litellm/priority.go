package litellm

import (
	"cmp"
	"strconv"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// queueSize is how many requests may wait for a pool. LiteLLM sets no bound; here
// their bodies are in memory meanwhile.
const queueSize = 1000

// readPriority reads the priority of requests that have none of their own.
func (cfg *settings) readPriority(router *section) {
	v, ok := router.take("default_priority")
	if !ok {
		return
	}
	n := v.whole()
	if n > apireq.MaxPriority {
		v.fail("expected a whole number from 0 to %d", apireq.MaxPriority)
	}
	cfg.priority = strconv.FormatInt(n, 10)
}

// queue is where requests wait. In LiteLLM those do that have a priority, for as
// long as an attempt may take: with a default priority all, else hardly any.
func (cfg *settings) queue() *upstreams.Queue {
	if cfg.priority == "" {
		return nil
	}
	return &upstreams.Queue{Size: queueSize, Timeout: cmp.Or(cfg.timeout, defaultTimeout)}
}
