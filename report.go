package llmrouter

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// report counts how the request has ended, shows its fate to placeholders and the
// access log, and logs it when it has failed.
func (h *Handler) report(r *http.Request, repl *caddy.Replacer, req *engine.Request, res *engine.Result, from source) {
	countRequest(res)
	(&fate{req.Model, *res, from}).show(r, repl)
	if res.Affinity != affinity.Off {
		if c := h.logger.Check(zap.DebugLevel, "session answered"); c != nil {
			c.Write(zap.String("pool", res.Pool.Name), zap.String("deployment", res.Deployment()), zap.String("affinity", res.Affinity.String()))
		}
	}
	if res.Class != retry.None && res.Class != retry.Canceled {
		h.logger.Warn("request failed",
			zap.String("model", loggable(req.Model)), zap.String("pool", res.Pool.Name),
			zap.String("error_class", res.Class.String()), zap.Bool("unavailable", res.Unavailable),
			zap.Int("attempts", res.Attempts), zap.Int("fallbacks", res.Fallbacks), zap.Duration("retry_after", res.Wait))
	}
}

// observer counts what happens to requests, and writes it into the log where
// somebody should know.
type observer struct{ logger *zap.Logger }

// Attempted counts attempts, and logs failed ones and what they did to the
// deployment.
func (o observer) Attempted(a *engine.Attempt, out engine.Outcome, effect health.Effect) {
	countAttempt(a, &out, effect)
	o.notice(a, &out)
	if effect.Recovered {
		o.logger.Info("deployment recovered", where(a)...)
	}
	if out.Class == retry.None || out.Class == retry.Canceled {
		return
	}
	fields := append(where(a), zap.String("error_class", out.Class.String()), zap.Int("attempt", a.Number), zap.Error(out.Err))
	if a.Hedge {
		fields = append(fields, zap.Bool("hedge", true))
	}
	if effect.Cooled {
		o.logger.Warn("attempt failed, deployment cools down", append(fields, zap.Duration("cooldown", effect.For))...)
		return
	}
	o.logger.Info("attempt failed", fields...)
}

// notice logs what is odd about answers: malformed events, and once for each
// deployment what hinders the account of their tokens.
func (o observer) notice(a *engine.Attempt, out *engine.Outcome) {
	if out.Dropped > 0 {
		o.logger.Warn("malformed events dropped from a stream", append(where(a), zap.Int("events", out.Dropped))...)
	}
	switch upstreams.DeploymentOf(a.Candidate).Notice(a, out) {
	case upstreams.InvalidAccount:
		o.logger.Warn("the usage in an answer cannot be believed; its tokens are not known", where(a)...)
	case upstreams.SilentStream:
		o.logger.Warn("a stream has not told its usage, so that tpm goes by estimates; write `usage_in_stream on` to ask for it", where(a)...)
	}
}

func where(a *engine.Attempt) []zap.Field {
	return []zap.Field{zap.String("pool", a.Target.Pool.Name), zap.String("deployment", a.Candidate.ID)}
}

// FellBack counts a move to another pool and logs it.
func (o observer) FellBack(from *engine.Pool, to engine.Target, because retry.Class) {
	upstreams.CountersOf(from).FellBack(upstreams.CountersOf(to.Pool), because)
	o.logger.Info("falling back", zap.String("from", from.Name), zap.String("to", to.Pool.Name), zap.String("error_class", because.String()))
}

// Hedged counts a hedge, and logs it for those who want to know each.
func (o observer) Hedged(hedge, beside *engine.Attempt, won bool) {
	upstreams.CountersOf(hedge.Target.Pool).Hedged(won)
	if c := o.logger.Check(zapcore.DebugLevel, "hedged"); c != nil {
		c.Write(append(where(hedge), zap.String("beside", beside.Candidate.ID), zap.Bool("won", won))...)
	}
}
