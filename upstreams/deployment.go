package upstreams

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// Deployment is one way to serve a pool: an upstream address, the model name
// it knows, a key, a weight, an order, limits.
type Deployment struct {
	// The deployment's name, unique in its pool; it appears in headers, logs and
	// metrics.
	ID string `json:"id"`

	// The address: `scheme://host[:port][/prefix][?query]` with the scheme
	// `http`, `https` or `h2c`, or `unix//path/to/socket`. A path prefix takes
	// the place of a leading `/v1` of the request's path; the query is merged
	// into the request's. Global placeholders such as `{env.GPU_1}` are replaced
	// when the config is loaded. Not needed beside dynamic upstreams or a
	// transport that needs no network.
	BaseURL string `json:"base_url,omitempty"`

	// The model name that is sent upstream. A `*` takes what the pool's `*`
	// matched. Default: the pool's name, or in a wildcard pool the name that the
	// client asked for.
	Model string `json:"model,omitempty"`

	// The key for the upstream. Write a placeholder such as
	// `{env.OPENAI_API_KEY}` or `{file./run/secrets/key}`, which is replaced when
	// the config is loaded, so that the key itself stays out of the config. With
	// a key, the client's own credentials are not sent upstream.
	APIKey string `json:"api_key,omitempty"`

	// The header that carries the key. `Authorization` carries it as
	// `Bearer <key>`, any other header as it is. Default: `Authorization`.
	APIKeyHeader string `json:"api_key_header,omitempty"`

	// The deployment's share among the usable ones of its order. 0 means only
	// when nothing else is left. Default: 1 when another deployment of the pool
	// has a weight; else `rpm`, else `tpm` is the weight, else all are equal.
	Weight *float64 `json:"weight,omitempty"`

	// The priority tier: the lowest order with a usable deployment serves, the
	// others are backups. Default: 1.
	Order *int `json:"order,omitempty"`

	// How many requests the deployment takes in any minute. Default: no limit.
	RPM int64 `json:"rpm,omitempty"`

	// How many tokens, of prompts and answers, the deployment takes in any minute:
	// by an estimate when a request is sent, and by what its answer says from when
	// that is there. Default: no limit.
	TPM int64 `json:"tpm,omitempty"`

	// How many requests may be in flight at once. Default: the pool's.
	MaxParallel int64 `json:"max_parallel,omitempty"`

	// What its tokens cost, for the strategy `cost` and the accounts of what
	// requests cost. Default: what the router's `prices` say, else unknown.
	Cost *Cost `json:"cost,omitempty"`

	// The name of the model in the router's `prices`. Default: `model`, else the
	// pool's name.
	BaseModel string `json:"base_model,omitempty"`

	// How long one attempt may take when the answer is not streamed.
	// Default: the pool's.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How long one streamed attempt may take until its first content event.
	// Default: the pool's.
	FirstTokenTimeout caddy.Duration `json:"first_token_timeout,omitempty"`

	// The longest silence inside an answer that has begun. Default: the pool's.
	IdleTimeout caddy.Duration `json:"idle_timeout,omitempty"`

	// How many tokens a prompt and its answer may have together. A request whose
	// prompt and output limit are more is not sent here, and a prompt that was too
	// long for one window goes to a larger one. Default: unknown.
	ContextWindow int `json:"context_window,omitempty"`

	// How many tokens a prompt may have, whatever its answer, on models that bound
	// the two apart. Default: what the router's `prices` say where `context_window`
	// is not set either, else unknown.
	MaxInput int `json:"max_input,omitempty"`

	// How many tokens an answer may have. A request that allows longer ones goes to
	// the deployments of the pool that can give them, where there are any.
	// Default: what the router's `prices` say, else unknown.
	MaxOutput int `json:"max_output,omitempty"`

	// What counts the tokens of prompts that are near the limits above:
	// `o200k_base` or `cl100k_base`. Default: that of `pre_call_checks`.
	Tokenizer string `json:"tokenizer,omitempty"`

	// Where the deployment is, such as `eu`. A request with regions is only served
	// in one of them, and never by a deployment without. Default: unknown.
	Region string `json:"region,omitempty"`

	// The teams that the deployment is for. A team that has deployments of its
	// own in a pool uses only those, and nobody else sees them. Default: everyone
	// without deployments of their own.
	Teams []string `json:"teams,omitempty"`

	// What kinds of requests the deployment is for. A request with tags goes to
	// the deployments with one of them, or else to those tagged `default`; one
	// without tags to those tagged `default` where there are any.
	Tags []string `json:"tags,omitempty"`

	// Whether the request's priority is sent as the field `priority` of JSON
	// bodies, which vLLM schedules by: the smaller number first. One that the
	// client wrote there itself is replaced, by 0 where the request has no
	// priority. Default: false.
	PassPriority bool `json:"pass_priority,omitempty"`

	// What active health checks ask the deployment: `models`, the list of its
	// models, or `completion`, a completion of one token by its model, which also
	// finds out whether the key and the model work, and costs what the provider
	// asks for it. The answer is judged as that of a request is; one that says
	// too busy or that the request is wrong comes from a healthy server. How
	// often (default: 30s) and how patiently is in `reverse_proxy`, under
	// `health_checks`, beside which no URI may stand. Default: no probe.
	HealthProbe string `json:"health_probe,omitempty"`

	// What Caddy's reverse proxy can do for the deployment: its transport,
	// header operations, dynamic upstreams and active health checks.
	ReverseProxy *reverseproxy.Handler `json:"reverse_proxy,omitempty"`

	// What every request looks at comes first, and so lies side by side.

	transport http.RoundTripper
	static    *reverseproxy.DialInfo // nil with dynamic upstreams
	// staticValue is what static points to, as contexts hold it: boxed once.
	staticValue any
	base        baseURL
	ownKey      bool // the credentials sent upstream are not the client's
	// keyIsFixed tells that they are the same for all clients as well.
	keyIsFixed bool
	described  bool     // the transport uses placeholders about its upstream
	key        []string // as header maps want it
	keyHeader  string
	ops        []*headers.HeaderOps   // on requests: the transport's, then the user's
	down       *headers.RespHeaderOps // on answers; nil for none
	counters   counted[*metrics.Deployment]
	notices    *notices // of its entry of states

	url       string // base_url without placeholders
	proxy     *reverseproxy.Handler
	candidate *selection.Candidate
	held      held     // its entry of states
	sharing   sharing  // with other instances
	proxyHash string   // of what reverse_proxy says, where answers are kept
	verdict   *verdict // nil without active health checks
	// lookups lets one attempt at a time look up dynamic upstreams, where their source
	// is one of Caddy's. That one does so too, but by a lock, and nobody leaves
	// a lock when their time is up. nil with any other source.
	lookups chan struct{}
}

// provision sets up the deployment of a pool and its reverse proxy. What it
// shares with other instances goes through the store.
func (d *Deployment) provision(ctx caddy.Context, pool string, policy *Policy, cooldown *health.Config, shared Shared) error {
	if err := d.validate(); err != nil {
		return err
	}
	if err := d.resolve(); err != nil {
		return err
	}
	known, err := d.takeState(pool)
	if err != nil {
		return err
	}
	d.share(shared.Store, pool, known)
	if policy.Cache.on() {
		if err := d.hashProxy(); err != nil { // before it is provisioned, which empties fields
			return err
		}
	}
	if err := d.provisionProxy(ctx, pool, shared.Transports); err != nil { // which begins to check the health
		return err
	}
	d.candidate = &selection.Candidate{
		ID:          d.ID,
		Order:       or(d.Order, 1),
		RPM:         float64(d.RPM),
		TPM:         float64(d.TPM),
		MaxParallel: cmp.Or(d.MaxParallel, policy.MaxParallel),
		Region:      d.Region,
		Tags:        d.Tags,
		Teams:       d.Teams,
		State:       known,
		Cooldown:    known.Record.Under(cooldown),
		Limiter:     known.Minute.Limit(d.RPM, d.TPM),
		Limits: selection.Timeouts{
			Whole:      time.Duration(d.Timeout),
			FirstToken: time.Duration(d.FirstTokenTimeout),
			Idle:       time.Duration(d.IdleTimeout),
		},
		Upstream: d,
	}
	d.describe(d.candidate, pool, policy.PreCallChecks, shared.Prices)
	d.sharing.joinOthers(d.candidate, shared.Store.Strict())
	if d.verdict != nil {
		d.candidate.Healthy = d.verdict.usable
	}
	return nil
}

func (d *Deployment) validate() error {
	switch {
	case or(d.Weight, 0) < 0:
		return errors.New("weight is negative")
	case or(d.Order, 1) < 0:
		return errors.New("order is negative")
	case d.RPM < 0, d.TPM < 0, d.MaxParallel < 0:
		return errors.New("rpm, tpm or max_parallel is negative")
	case d.Timeout < 0, d.FirstTokenTimeout < 0, d.IdleTimeout < 0:
		return errors.New("a timeout is negative")
	case d.APIKeyHeader != "" && d.APIKey == "":
		return errors.New("api_key_header without api_key")
	}
	return errors.Join(d.validateCapacity(), d.Cost.validate())
}

// resolve replaces the global placeholders and takes the address apart. Errors
// never show the key.
func (d *Deployment) resolve() error {
	repl := caddy.NewReplacer()
	address, err := repl.ReplaceOrErr(d.BaseURL, true, true)
	if err != nil {
		return fmt.Errorf("base_url: %w", err)
	}
	d.url = address
	if address != "" {
		if d.base, err = parseBaseURL(address); err != nil {
			return err
		}
	} else {
		d.base = baseURL{scheme: "http", host: "localhost"}
	}
	key, err := repl.ReplaceOrErr(d.APIKey, true, true)
	if err != nil {
		return fmt.Errorf("api_key: %w", err)
	}
	if key == "" {
		return nil
	}
	d.keyHeader = http.CanonicalHeaderKey(d.APIKeyHeader)
	if d.keyHeader == "" || d.keyHeader == "Authorization" {
		d.keyHeader, key = "Authorization", "Bearer "+key
	}
	d.key, d.ownKey, d.keyIsFixed = []string{key}, true, true
	return nil
}

// cleanup releases what provision took, also when it failed halfway.
func (d *Deployment) cleanup() error {
	if d == nil {
		return nil
	}
	d.sharing.end()
	d.counters.release()
	err := d.held.release()
	if d.proxy != nil {
		err = errors.Join(err, d.proxy.Cleanup())
	}
	return err
}

// modelFor is the model name to send for a request.
func (d *Deployment) modelFor(asked, star string) string {
	if d.Model == "" {
		return asked
	}
	return strings.Replace(d.Model, "*", star, 1)
}
