// Package llmrouter provides a Caddy HTTP handler that puts one
// OpenAI-compatible address in front of many model servers.
package llmrouter

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	// The guest modules that come with the router.
	_ "github.com/llmrouter/caddy-llm-router/internal/cli"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	_ "github.com/llmrouter/caddy-llm-router/internal/litellm"
	_ "github.com/llmrouter/caddy-llm-router/internal/mock"
	_ "github.com/llmrouter/caddy-llm-router/selection/strategies"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler routes requests of LLM clients to pools of model servers. It reads the
// model that a request asks for, maps it to a pool, picks a deployment of the
// pool by health, order and weight, and lets nothing reach the client before
// the answer is known to be good: a failed attempt moves on to another
// deployment, is tried again, or falls back to another pool.
//
// Errors of the router's own are JSON in the dialect of the path, OpenAI's,
// Anthropic's or Ollama's, and are written by the router itself: `handle_errors`
// routes do not see them.
//
// These placeholders are available after the handler has found a pool for a
// request and served it from there:
//
// Placeholder | Description
// ------------|---------------
// `{http.llm_router.model}` | The model that the client asked for
// `{http.llm_router.pool}` | The pool that answered, or the last one tried
// `{http.llm_router.deployment}` | The deployment that answered, or the last one tried
// `{http.llm_router.attempts}` | The number of round trips made
// `{http.llm_router.fallbacks}` | The number of pools left behind
// `{http.llm_router.error_class}` | What went wrong last; empty when the client got its answer
// `{http.llm_router.ttft_ms}` | The time to the first content of a stream, in milliseconds; empty for any other answer
// `{http.llm_router.input_tokens}` | The tokens of the prompt, over all attempts that have cost anything; empty while unknown, as are the next three
// `{http.llm_router.output_tokens}` | The tokens of the answer, over all attempts that have cost anything
// `{http.llm_router.cached_tokens}` | The input tokens that came from a cache
// `{http.llm_router.reasoning_tokens}` | The output tokens that were reasoning
// `{http.llm_router.usage}` | How the tokens are known: `reported`, `estimated` or `unknown`
// `{http.llm_router.cost}` | What the tokens cost, in US$; empty while unknown
// `{http.llm_router.affinity}` | What became of the request's session: `hit`, `moved`, `new`, or `none` where it names none; empty in a pool that keeps no sessions, and without an answer
// `{http.llm_router.cache}` | `hit` for an answer that was kept, `miss` for one that was not; empty where nothing is kept
//
// The access log has the same as fields of `llm_router`.
type Handler struct {
	// The model that a request asks for; placeholders are replaced for each
	// request. Default: `model` in the body, JSON or form, or in the query.
	Model string `json:"model,omitempty"`

	// The team on whose behalf a request is made; placeholders are replaced for
	// each request. Take it only from something trusted, such as
	// `{http.auth.user.id}`. Default: none.
	Team string `json:"team,omitempty"`

	// What kind of request it is: tags that deployments carry. Placeholders are
	// replaced for each request; a value with commas is several tags.
	// Default: none.
	Tags []string `json:"tags,omitempty"`

	// Where a request may be served: regions that deployments are in. Placeholders
	// are replaced for each request; a value with commas is several regions. A
	// deployment in none of them never sees the request. Default: anywhere, which is
	// also what placeholders mean that are empty.
	Regions []string `json:"regions,omitempty"`

	// How important a request is: a whole number from -1000000 to 1000000, the
	// smaller the more. Placeholders are replaced for each request; what is then
	// no such number counts as not set. It decides who of those who wait in a
	// `queue` is served first. Default: not set, which is as important as 0.
	Priority string `json:"priority,omitempty"`

	// The largest request body, in bytes; more is refused with 413. Bodies are
	// held in memory while their request lasts. Also the bound for requests that
	// `unknown_model next` hands on. Default: 67108864 (64 MiB).
	MaxBody int64 `json:"max_body,omitempty"`

	// What to do about a model that no pool serves: `reject` answers 404
	// `model_not_found`, `next` passes the request to the next handler, also
	// when it names no model. Default: `reject`.
	UnknownModel string `json:"unknown_model,omitempty"`

	// What a request may set for itself, in the fields that LiteLLM's clients
	// send; they are taken out of what goes upstream. `fallbacks`: `fallbacks`,
	// `context_window_fallbacks`, `content_policy_fallbacks` and
	// `disable_fallbacks`. `retries`: `num_retries`. `timeout`: `timeout`,
	// `request_timeout` and `stream_timeout`. `tags`: `tags`, and `tags` in
	// `metadata`. `priority`: `priority`, which wins over the router's. `region`:
	// `allowed_model_region`, within the router's.
	// `cache`: `cache`, an object that says what the cache of answers is to do.
	// `mock_testing`: `mock_testing_fallbacks` and its siblings, which make a
	// failure up. Retries, timeout and tags also as the headers
	// `X-Litellm-Num-Retries`, `X-Litellm-Timeout`, `X-Litellm-Stream-Timeout`
	// and `X-Litellm-Tags`. Forms and upgrades set nothing. Default: none.
	ClientOptions []string `json:"client_options,omitempty"`

	upstreams.Policy

	// What clients call models: public names, each with the deployments that
	// serve it.
	Pools []*upstreams.Pool `json:"pools,omitempty"`

	// The pools to try when a pool has nothing left to try and no fallback of
	// its own, or when no pool serves the model.
	DefaultFallback []string `json:"default_fallback,omitempty"`

	// A file that says what models cost, and how long prompts and answers may be, in
	// the format of the table that LiteLLM publishes. It is read when the config is
	// loaded; a relative path begins at the working directory. Global placeholders
	// such as `{env.PRICES}` are replaced. What a deployment says itself wins.
	// Default: none.
	Prices string `json:"prices,omitempty"`

	app     *App
	options apireq.OptionSet
	router  engine.Router
	created time.Time
	logger  *zap.Logger
}

const (
	defaultMaxBody = 64 << 20

	rejectUnknown = "reject"
	nextUnknown   = "next"
)

// CaddyModule returns the Caddy module information. Its receiver is a pointer
// because health checks ask for it while Provision still writes the fields, all
// of which a value would copy.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.llm_router",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision sets up the pools and connects them with their fallbacks.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	h.created = time.Now()
	if h.MaxBody == 0 {
		h.MaxBody = defaultMaxBody
	}
	if h.UnknownModel == "" {
		h.UnknownModel = rejectUnknown
	}
	for _, name := range h.ClientOptions {
		option, ok := clientOptions[name]
		if !ok {
			return fmt.Errorf("client_options: there is no %q; expected some of %v", name, clientOptionNames())
		}
		h.options |= option
	}
	if len(h.Pools) == 0 {
		return errors.New("no pools")
	}
	app, err := ctx.App("llm_router")
	if err != nil {
		return err
	}
	h.app = app.(*App)
	table, err := h.readPrices()
	if err != nil {
		return err
	}
	directory := &h.router.Directory
	shared := upstreams.Shared{Store: h.app.Store(), Transports: new(upstreams.Transports), Prices: table}
	for _, pool := range h.Pools {
		if err := pool.Provision(ctx, h.Policy, shared); err != nil {
			return err
		}
		pool.CountIn(h.app.metrics.Metrics)
		if name, ok := directory.Add(pool.Engine(), pool.Aliases...); !ok {
			return fmt.Errorf("two pools are called %q", name)
		}
	}
	h.router.Observer = observer{h.logger}
	if err := h.connect(); err != nil {
		return err
	}
	h.expectFallbacks()
	h.noteUnpriced()
	h.app.Add(h) // at last: its status may be asked for from now on
	return nil
}

// connect resolves the names of fallback pools.
func (h *Handler) connect() error {
	directory := &h.router.Directory
	var err error
	if directory.Default, err = h.targets(h.DefaultFallback, nil); err != nil {
		return fmt.Errorf("default_fallback: %w", err)
	}
	for _, pool := range h.Pools {
		general, contextWindow, contentPolicy := pool.Fallbacks()
		e := pool.Engine()
		if e.Fallback, err = h.targets(general, pool); err != nil {
			return fmt.Errorf("pool %q: fallback: %w", pool.Name, err)
		}
		if e.ContextWindow, err = h.targets(contextWindow, pool); err != nil {
			return fmt.Errorf("pool %q: context_window_fallback: %w", pool.Name, err)
		}
		if e.ContentPolicy, err = h.targets(contentPolicy, pool); err != nil {
			return fmt.Errorf("pool %q: content_policy_fallback: %w", pool.Name, err)
		}
		directory.ContextFallbacks = directory.ContextFallbacks || len(e.ContextWindow) > 0
	}
	return nil
}

// targets finds the pools that a pool falls back to. A pool's own name is an
// error where the pool itself wrote it, and left out where it comes from the
// router's defaults.
func (h *Handler) targets(names []string, of *upstreams.Pool) ([]engine.Target, error) {
	var targets []engine.Target
	for _, name := range names {
		target, ok := h.router.Directory.Resolve(name)
		if !ok {
			return nil, fmt.Errorf("there is no pool %q", name)
		}
		if of != nil && target.Pool == of.Engine() {
			if of.Names(name) {
				return nil, fmt.Errorf("%q is the pool itself", name)
			}
			continue
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// Validate refuses values that make no sense.
func (h *Handler) Validate() error {
	if h.MaxBody < 0 {
		return errors.New("max_body is negative")
	}
	if h.UnknownModel != rejectUnknown && h.UnknownModel != nextUnknown {
		return fmt.Errorf("unknown_model is %q; expected %s or %s", h.UnknownModel, rejectUnknown, nextUnknown)
	}
	if !validPriority(h.Priority) {
		return fmt.Errorf("priority is %q; expected %s", h.Priority, priorityExpected)
	}
	return nil
}

// Cleanup releases what the pools took, also after a failed Provision.
func (h *Handler) Cleanup() error {
	var errs []error
	for _, pool := range h.Pools {
		errs = append(errs, pool.Cleanup())
	}
	return errors.Join(errs...)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
