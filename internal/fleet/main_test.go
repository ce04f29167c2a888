// Package fleet tests several Caddys that share what they know through Redis:
// real processes, a real Redis, and requests over real connections.
package fleet

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/llmrouter/caddy-llm-router"
)

// configVariable tells the test's program that it is to be a Caddy with the
// config of that file, which is cheaper than to build another program.
const configVariable = "LLM_ROUTER_FLEET_CONFIG"

func TestMain(m *testing.M) {
	if path := os.Getenv(configVariable); path != "" {
		if err := beCaddy(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beCaddy serves until the test closes standard input, or dies.
func beCaddy(path string) error {
	config, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	fmt.Println(ready)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return caddy.Stop()
}

// ready is what a Caddy says when it serves.
const ready = "ready"
