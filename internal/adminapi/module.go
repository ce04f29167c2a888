// Package adminapi shows on Caddy's admin API how the router is doing.
package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/status"
)

func init() {
	caddy.RegisterModule(new(API))
}

// StatusPath is where the status is served.
const StatusPath = "/llm_router/status"

// app is the id of the app that knows every router of a config.
const app = "llm_router"

// Reporter is what the app has to be. Status is called at any time while the
// app's config runs, by several requests at once.
type Reporter interface {
	Status(now time.Time) status.Status
}

// API shows how the pools and deployments of the running config are doing:
// `GET /llm_router/status` answers with their states, what they are carrying and
// what they have used, as JSON.
type API struct{}

// CaddyModule returns the Caddy module information.
func (API) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.llm_router",
		New: func() caddy.Module { return new(API) },
	}
}

// Routes implements caddy.AdminRouter.
func (API) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: StatusPath, Handler: caddy.AdminHandlerFunc(serveStatus)}}
}

func serveStatus(w http.ResponseWriter, r *http.Request) error {
	if err := allow(w, r, http.MethodGet); err != nil {
		return err
	}
	now, err := current(time.Now())
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(now)
}

// allow refuses other methods than the one given.
func allow(w http.ResponseWriter, r *http.Request, method string) error {
	if r.Method == method {
		return nil
	}
	w.Header().Set("Allow", method)
	return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not allowed", r.Method)}
}

// current is the status of the running config. Caddy sets the admin API up
// before the apps, and keeps it over a config that fails, so the app is looked up
// for each request.
func current(now time.Time) (status.Status, error) {
	var s status.Status
	found, err := caddy.ActiveContext().AppIfConfigured(app)
	switch {
	case errors.Is(err, caddy.ErrNotConfigured):
	case err != nil:
		return s, err
	default:
		reporter, ok := found.(Reporter)
		if !ok {
			return s, fmt.Errorf("the app %s, a %T, has no status", app, found)
		}
		s = reporter.Status(now)
	}
	// Programs that go through the lists should find lists.
	if s.Pools == nil {
		s.Pools = []status.Pool{}
	}
	for i := range s.Pools {
		if s.Pools[i].Deployments == nil {
			s.Pools[i].Deployments = []status.Deployment{}
		}
	}
	return s, nil
}

// Interface guard
var _ caddy.AdminRouter = (*API)(nil)
