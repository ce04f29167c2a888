package llmrouter

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/llmrouter/caddy-llm-router/internal/state"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is what the routers of a config have in common: the state that they share
// with other instances of Caddy. A config that has routers has this app, whether
// it is configured or not.
type App struct {
	// A Redis or Valkey, through which instances know together what was used of
	// every deployment's limits, which deployments cool down, what health checks
	// found, on which deployments sessions are, and which answers were kept. Requests
	// never wait for it, but for `strict` and, up to its timeout, for such answers.
	// Default: none; each instance knows what it has seen itself.
	Redis *Redis `json:"redis,omitempty"`

	store  state.Store
	key    storeKey
	taken  bool // of the pool of stores, once
	unlook func()
	logger *zap.Logger

	metrics heldMetrics

	mu       sync.Mutex // protects what follows
	handlers []*Handler
}

// stores are the connections to Redis, by what was configured. A config that is
// loaded anew with the same Redis goes on with the same connection, and nothing
// that was not handed over yet is lost.
var stores = caddy.NewUsagePool()

// pooledStore lets the pool close a store that no config uses any more.
type pooledStore struct{ state.Store }

func (s pooledStore) Destruct() error { return s.Close() }

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "llm_router",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision takes the store that fits the config, and the metrics. It does not
// connect.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Logger()
	if err := a.takeStore(); err != nil {
		return err
	}
	if err := a.provisionMetrics(ctx); err != nil { // last: they may be asked for from now on
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func (a *App) takeStore() error {
	a.store = state.Alone{}
	if a.Redis == nil {
		return nil
	}
	key, options, err := a.Redis.resolve()
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	value, _, err := stores.LoadOrNew(key, func() (caddy.Destructor, error) {
		return pooledStore{state.NewRedis(options)}, nil
	})
	if err != nil {
		return err
	}
	a.key, a.taken = key, true
	a.store = value.(pooledStore)
	return nil
}

// Start begins to share with other instances.
func (a *App) Start() error {
	a.unlook = a.store.Observe(state.Observer{
		Down: func(err error) {
			a.logger.Warn("the shared state cannot be reached; this instance goes on with what it knows", zap.Error(err))
		},
		Up: func(after time.Duration) {
			a.logger.Info("the shared state is reached again", zap.Duration("after", after))
		},
		Foreign: func(where string) {
			a.logger.Warn("a value in the shared state is not the router's; it is ignored", zap.String("key", where))
		},
	})
	a.store.Start()
	return nil
}

// Stop leaves the store to the config that comes next, if it uses it.
func (a *App) Stop() error {
	a.unlook()
	return nil
}

// Cleanup releases the store if it was taken, and the metrics.
func (a *App) Cleanup() error {
	err := a.metrics.release()
	if !a.taken {
		return err
	}
	a.taken = false
	_, gone := stores.Delete(a.key)
	return errors.Join(err, gone)
}

// Store is what deployments share through; of a lone instance, one that shares
// nothing.
func (a *App) Store() state.Store { return a.store }

// Add enters a handler of this config that is set up, so that its status is shown.
func (a *App) Add(h *Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers = append(a.handlers, h)
}

// Handlers are those of this config, in the order in which they were set up.
func (a *App) Handlers() []*Handler {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.handlers)
}

// Interface guards
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
