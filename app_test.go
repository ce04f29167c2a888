package llmrouter_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	llmrouter "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/state"
)

// runningApp is the app of the config that runs.
func runningApp(t *testing.T) *llmrouter.App {
	t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("llm_router")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*llmrouter.App)
}

// appConfig is a config with the app, and whatever else its servers have.
func appConfig(app, routes string) string {
	return fmt.Sprintf(`{"apps":{"llm_router":%s,"http":{"servers":{"s":{"listen":[":8080"],"routes":[%s]}}}}}`, app, routes)
}

func TestAppWithoutRedisSharesNothing(t *testing.T) {
	caddyharness.NoLeaks(t)
	caddyharness.Load(t, appConfig(`{}`, ""))
	if store := runningApp(t).Store(); store != (state.Alone{}) {
		t.Errorf("got %T, want none that shares", store)
	}
}

// needy is a handler that asks for the app as the router does.
type needy struct{ app *llmrouter.App }

func (*needy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.test_needs_the_app", New: func() caddy.Module { return new(needy) }}
}

func (n *needy) Provision(ctx caddy.Context) error {
	app, err := ctx.App("llm_router")
	if err != nil {
		return err
	}
	n.app = app.(*llmrouter.App)
	n.app.Add(new(llmrouter.Handler))
	return nil
}

func (*needy) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

func init() { caddy.RegisterModule(new(needy)) }

// A handler makes Caddy run the app, and whoever looks for it finds it with its
// handlers, also when no config speaks of it.
func TestAppThatIsNotConfiguredRuns(t *testing.T) {
	s := caddyharness.Load(t, `{"apps":{"http":{"servers":{"s":{"listen":[":8080"],"routes":[
		{"handle":[{"handler":"test_needs_the_app"},{"handler":"test_needs_the_app"}]}]}}}}}`)
	app := runningApp(t)
	if got := len(app.Handlers()); got != 2 {
		t.Errorf("got %d handlers, want 2", got)
	}
	s.Reload(t, `{"apps":{"http":{"servers":{"s":{"listen":[":8080"],"routes":[
		{"handle":[{"handler":"test_needs_the_app"}]}]}}}}}`)
	if now := runningApp(t); now == app || len(now.Handlers()) != 1 {
		t.Errorf("got %d handlers, want the one of the new config", len(now.Handlers()))
	}
}

func TestReloadsKeepTheStore(t *testing.T) {
	caddyharness.NoLeaks(t)
	server := redistest.Start(t)
	t.Setenv("LLM_ROUTER_TEST_REDIS", server.URL())
	app := `{"redis":{"urls":["{env.LLM_ROUTER_TEST_REDIS}"],"prefix":"%s:"}}`
	s := caddyharness.Load(t, appConfig(fmt.Sprintf(app, "a"), ""))
	store := runningApp(t).Store()
	redistest.WaitFor(t, "Redis to be up", store.Up)

	s.Reload(t, appConfig(fmt.Sprintf(app, "a"), `{"handle":[{"handler":"static_response"}]}`))
	if now := runningApp(t).Store(); now != store {
		t.Error("got another store after a reload, want the same")
	}
	for name, config := range map[string]string{
		"a handler that fails":     appConfig(fmt.Sprintf(app, "a"), `{"handle":[{"handler":"llm_router"}]}`),
		"a placeholder of nothing": appConfig(`{"redis":{"urls":["{env.LLM_ROUTER_TEST_NOTHING}"]}}`, ""),
		"a URL that is none":       appConfig(`{"redis":{"urls":["localhost:6379"]}}`, ""),
		"a server that fails":      strings.Replace(appConfig(fmt.Sprintf(app, "a"), ""), `":8080"`, `"unix//nonexistent/folder/s"`, 1),
	} {
		if err := s.TryReload(config); err == nil {
			t.Errorf("%s: got a config that loads, want it to fail", name)
		}
		if now := runningApp(t).Store(); now != store || !isOpen(store) {
			t.Errorf("%s: got a store that is gone, want the running one as it was", name)
		}
	}

	s.Reload(t, appConfig(fmt.Sprintf(app, "b"), ""))
	if runningApp(t).Store() == store || isOpen(store) {
		t.Error("got the old store for another prefix, want it closed and a new one")
	}
	s.Reload(t, appConfig(`{}`, ""))
}

// isOpen finds out whether a store still exchanges.
func isOpen(store state.Store) bool {
	before := store.Stats().Exchanges
	for range 150 {
		if store.Stats().Exchanges > before {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// One warning when Redis goes, one line when it is back, of the config that runs
// at that time; and the password in none.
func TestOutagesAreLoggedOnce(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "hunter2")
	t.Setenv("LLM_ROUTER_TEST_KEY", "hunter2")
	config := appConfig(fmt.Sprintf(`{"redis":{"urls":["redis://:{env.LLM_ROUTER_TEST_KEY}@%s"]}}`, server.Addr()), "")
	s := caddyharness.Load(t, config)
	store := runningApp(t).Store()
	redistest.WaitFor(t, "Redis to be up", store.Up)
	s.Reload(t, config+" ")
	server.Kill()
	s.WaitForLog(t, func(e caddyharness.Entry) bool { return e.Level == "warn" && e.Logger == "llm_router" })
	s.Reload(t, config)
	server.Restart(t)
	s.WaitForLog(t, func(e caddyharness.Entry) bool { return e.Level == "info" && e.Logger == "llm_router" })
	lines := 0
	for _, e := range s.Logs() {
		if e.Logger == "llm_router" {
			lines++
		}
		if strings.Contains(e.Raw, "hunter2") {
			t.Errorf("got the password in the log: %s", e.Raw)
		}
	}
	if lines != 2 {
		t.Errorf("got %d lines, want 2", lines)
	}
}

// A config is checked without a connection.
func TestValidatingDoesNotConnect(t *testing.T) {
	server := redistest.Start(t)
	for range 2 {
		parent, err := caddy.ProvisionContext(&caddy.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := caddy.NewContext(parent)
		_, err = ctx.LoadModuleByID("llm_router", []byte(fmt.Sprintf(`{"redis":{"urls":[%q]}}`, server.URL())))
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Do(t, "INFO", "stats"); !strings.Contains(got, "total_connections_received:1\r") {
		t.Errorf("got %s, want no connection but that of this question", got)
	}
}

func TestAppRefusesWhatMakesNoSense(t *testing.T) {
	for name, test := range map[string]struct{ config, want string }{
		"no URL":           {`{"redis":{}}`, "no URL"},
		"no master":        {`{"redis":{"urls":["redis://h"],"sentinel":{}}}`, "the name of the master is missing"},
		"a long prefix":    {`{"redis":{"urls":["redis://h"],"prefix":"` + strings.Repeat("x", 200) + `"}}`, "prefix: expected"},
		"a hash tag":       {`{"redis":{"urls":["redis://h"],"prefix":"{x}"}}`, "unrecognized placeholder"},
		"a long timeout":   {`{"redis":{"urls":["redis://h"],"timeout":"2s"}}`, "timeout: expected"},
		"a negative one":   {`{"redis":{"urls":["redis://h"],"timeout":-1}}`, "timeout: expected"},
		"a missing secret": {`{"redis":{"urls":["redis://:{env.LLM_ROUTER_TEST_NOTHING}@h"]}}`, "LLM_ROUTER_TEST_NOTHING"},
		"no such password": {`{"redis":{"urls":["redis://h"],"password":"{env.LLM_ROUTER_TEST_NOTHING}"}}`, "LLM_ROUTER_TEST_NOTHING"},
		"an unknown field": {`{"valkey":{}}`, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			parent, err := caddy.ProvisionContext(&caddy.Config{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := caddy.NewContext(parent)
			defer cancel()
			if _, err := ctx.LoadModuleByID("llm_router", []byte(test.config)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error that says %q", err, test.want)
			}
		})
	}
}
