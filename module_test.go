package llmrouter_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/llmrouter/caddy-llm-router"
)

// What needs a whole Caddy is in internal/wholepath; here is the module alone.

// provision loads the handler from JSON, as Caddy does.
func provision(t testing.TB, config string) (caddyhttp.MiddlewareHandler, error) {
	t.Helper()
	return provisionModule(t, "http.handlers.llm_router", config)
}

func provisionModule(t testing.TB, id, config string) (caddyhttp.MiddlewareHandler, error) {
	t.Helper()
	parent, err := caddy.ProvisionContext(&caddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(parent)
	t.Cleanup(cancel)
	mod, err := ctx.LoadModuleByID(id, json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return mod.(caddyhttp.MiddlewareHandler), nil
}

func TestTheModuleServesARequest(t *testing.T) {
	handler, err := provision(t, `{"pools":[{"name":"m","deployments":[
		{"id":"a","reverse_proxy":{"transport":{"protocol":"llm_mock","response":"hello"}}}]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[]}`))
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the request went to the next handler")
		return nil
	})
	if err := handler.ServeHTTP(w, r, next); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "hello") || w.Header().Get("X-LLM-Deployment") != "a" {
		t.Errorf("got %d %s from %q, want hello from a", w.Code, w.Body, w.Header().Get("X-LLM-Deployment"))
	}
}

func TestTheModuleRefusesWhatMakesNoSense(t *testing.T) {
	deployment := `{"id":"a","base_url":"http://localhost:1"}`
	for name, test := range map[string]struct{ config, want string }{
		"no pools":                {`{}`, "no pools"},
		"a pool without any":      {`{"pools":[{"name":"m"}]}`, `pool "m" has no deployments`},
		"two pools of a name":     {`{"pools":[{"name":"m","deployments":[` + deployment + `]},{"name":"n","aliases":["m"],"deployments":[` + deployment + `]}]}`, `two pools are called "m"`},
		"two deployments":         {`{"pools":[{"name":"m","deployments":[` + deployment + `,` + deployment + `]}]}`, `two deployments have the id "a"`},
		"a fallback to nowhere":   {`{"pools":[{"name":"m","fallback":["x"],"deployments":[` + deployment + `]}]}`, `there is no pool "x"`},
		"a fallback to itself":    {`{"pools":[{"name":"m","fallback":["m"],"deployments":[` + deployment + `]}]}`, `"m" is the pool itself`},
		"a negative weight":       {`{"pools":[{"name":"m","deployments":[{"id":"a","base_url":"http://localhost:1","weight":-1}]}]}`, "weight is negative"},
		"a model with a * alone":  {`{"pools":[{"name":"m","deployments":[{"id":"a","base_url":"http://localhost:1","model":"meta/*"}]}]}`, `pool "m": deployment "a": model "meta/*" has a *`},
		"an unknown option":       {`{"client_options":["x"],"pools":[{"name":"m","deployments":[` + deployment + `]}]}`, `client_options: there is no "x"`},
		"an unknown field":        {`{"pool":[]}`, "unknown field"},
		"an unknown model policy": {`{"unknown_model":"x","pools":[{"name":"m","deployments":[` + deployment + `]}]}`, `unknown_model is "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := provision(t, test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error that says %q", err, test.want)
			}
		})
	}
}
