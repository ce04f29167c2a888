package engine

import (
	"os/exec"
	"strings"
	"testing"
)

// Decisions live in packages that know nothing of Caddy, logs, metrics or
// Redis, directly or by way of others.
func TestCaddyFreePackages(t *testing.T) {
	const module = "github.com/llmrouter/caddy-llm-router/"
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command")
	}
	for _, pkg := range []string{
		"selection", "retry", "health", "internal/engine", "internal/apireq", "internal/sse", "internal/api",
		"internal/status", "internal/jsonwalk", "internal/usage", "internal/queue", "internal/affinity", "internal/cache",
		"internal/prices", "internal/tokenizers",
	} {
		t.Run(pkg, func(t *testing.T) {
			out, err := exec.Command("go", "list", "-deps", module+pkg).Output()
			if err != nil {
				t.Fatal(err)
			}
			deps := strings.Fields(string(out))
			if len(deps) == 0 || deps[len(deps)-1] != module+pkg {
				t.Fatalf("go list -deps ends with %q, want the package itself", deps)
			}
			for _, dep := range deps {
				for _, banned := range []string{
					"github.com/caddyserver/", "go.uber.org/zap", "github.com/prometheus/", "github.com/redis/go-redis",
				} {
					if strings.HasPrefix(dep, banned) {
						t.Errorf("depends on %s", dep)
					}
				}
			}
		})
	}
}
