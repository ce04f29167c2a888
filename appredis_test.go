package llmrouter_test

import (
	"fmt"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

// A user and a password beside the URLs are nobody's to take apart, whatever they
// are made of.
func TestPasswordsBesideTheURLAreTakenAsTheyAre(t *testing.T) {
	const password = `p@ss/w:rd?#%zz{x}`
	for user, args := range map[string][]string{
		"":       {"--requirepass", password},
		"router": {"--user", "router", "on", ">" + password, "~*", "&*", "+@all", "--user", "default", "off"},
	} {
		t.Run("user "+user, func(t *testing.T) {
			server := redistest.Start(t, args...)
			t.Setenv("LLM_ROUTER_TEST_KEY", password)
			caddyharness.Load(t, appConfig(fmt.Sprintf(
				`{"redis":{"urls":[%q],"username":%q,"password":"{env.LLM_ROUTER_TEST_KEY}"}}`, server.URL(), user), ""))
			redistest.WaitFor(t, "Redis to be up", runningApp(t).Store().Up)
		})
	}
}
