package llmrouter

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// report makes the request's fate available as placeholders, and logs that it
// failed.
func (h *Handler) report(repl *caddy.Replacer, req *engine.Request, res *engine.Result) {
	countRequest(res)
	result := *res
	model := req.Model
	repl.Map(func(key string) (any, bool) {
		name, ok := strings.CutPrefix(key, "http.llm_router.")
		if !ok {
			return nil, false
		}
		switch name {
		case "model":
			return model, true
		case "pool":
			return result.Pool.Name, true
		case "deployment":
			return result.Deployment(), true
		case "attempts":
			return result.Attempts, true
		case "fallbacks":
			return result.Fallbacks, true
		case "error_class":
			if result.Class == retry.None {
				return "", true
			}
			return result.Class.String(), true
		}
		return nil, false
	})
	if res.Class != retry.None && res.Class != retry.Canceled {
		h.logger.Warn("request failed",
			zap.String("model", model), zap.String("pool", res.Pool.Name),
			zap.String("error_class", res.Class.String()), zap.Bool("unavailable", res.Unavailable),
			zap.Int("attempts", res.Attempts), zap.Int("fallbacks", res.Fallbacks), zap.Duration("retry_after", res.Wait))
	}
}

// observer writes what happens to requests into the log.
type observer struct{ logger *zap.Logger }

// Attempted logs failed attempts and what they did to the deployment.
func (o observer) Attempted(a *engine.Attempt, out engine.Outcome, effect health.Effect) {
	countAttempt(a, &out, effect)
	if effect.Recovered {
		o.logger.Info("deployment recovered", zap.String("pool", a.Target.Pool.Name), zap.String("deployment", a.Candidate.ID))
	}
	if out.Dropped > 0 {
		o.logger.Warn("malformed events dropped from a stream",
			zap.String("pool", a.Target.Pool.Name), zap.String("deployment", a.Candidate.ID), zap.Int("events", out.Dropped))
	}
	if out.Class == retry.None || out.Class == retry.Canceled {
		return
	}
	fields := []zap.Field{
		zap.String("pool", a.Target.Pool.Name), zap.String("deployment", a.Candidate.ID),
		zap.String("error_class", out.Class.String()), zap.Int("attempt", a.Number), zap.Error(out.Err),
	}
	if effect.Cooled {
		o.logger.Warn("attempt failed, deployment cools down", append(fields, zap.Duration("cooldown", effect.For))...)
		return
	}
	o.logger.Info("attempt failed", fields...)
}

// FellBack logs a move to another pool.
func (o observer) FellBack(from *engine.Pool, to engine.Target, because retry.Class) {
	upstreams.CountersOf(from).FellBack(upstreams.CountersOf(to.Pool), because)
	o.logger.Info("falling back", zap.String("from", from.Name), zap.String("to", to.Pool.Name), zap.String("error_class", because.String()))
}
