package llmrouter

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/adminapi"
	"github.com/llmrouter/caddy-llm-router/internal/status"
)

// Status is how the pools of all handlers are doing. It is safe for concurrent
// use.
func (a *App) Status(now time.Time) status.Status {
	var s status.Status
	for _, h := range a.Handlers() {
		for _, pool := range h.Pools {
			s.Pools = append(s.Pools, pool.Status(now))
		}
	}
	if a.Redis != nil {
		s.Redis = &status.Redis{Up: a.store.Up()}
	}
	return s
}

// Interface guard
var _ adminapi.Reporter = (*App)(nil)
