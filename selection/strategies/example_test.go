package strategies_test

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// SmallestWindow is a strategy as anybody can write one, in a module of their own:
// it picks the deployment with the smallest context window that a prompt fits.
type SmallestWindow struct {
	// Tokens to leave for the answer. Default: 0.
	Spare int `json:"spare,omitempty"`
}

func init() {
	caddy.RegisterModule(SmallestWindow{})
}

// CaddyModule returns the Caddy module information.
func (SmallestWindow) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.smallest_window",
		New: func() caddy.Module { return new(SmallestWindow) },
	}
}

// UnmarshalCaddyfile accepts `smallest_window [<spare>]`.
func (s *SmallestWindow) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next() // the strategy's name
	if d.NextArg() {
		if s.Spare, err = strconv.Atoi(d.Val()); err != nil {
			return d.Errf("smallest_window: expected a number of tokens, got '%s'", d.Val())
		}
	}
	return nil
}

// Pick implements selection.Strategy.
func (s *SmallestWindow) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	best := usable[0]
	for _, c := range usable[1:] {
		if s.better(q, c, best) {
			best = c
		}
	}
	return best
}

func (s *SmallestWindow) better(q *selection.Query, a, b *selection.Candidate) bool {
	fits := func(c *selection.Candidate) bool { return q.Tokens+s.Spare <= c.ContextWindow }
	if fits(a) != fits(b) {
		return fits(a)
	}
	return cmp.Less(a.ContextWindow, b.ContextWindow) == fits(a) // else the largest
}

var _ selection.Strategy = (*SmallestWindow)(nil)

func TestAStrategyOfSomebodyElse(t *testing.T) {
	server := serve(t, `
		strategy smallest_window 100
		deployment large {
			context_window 100000
		}
		deployment small {
			context_window 1000
		}
		deployment middle {
			context_window 10000
		}`)
	for size, want := range map[int]string{10: "small", 5_000: "middle", 30_000: "middle", 200_000: "large", 500_000: "large"} {
		if got := ask(t, server, strings.Repeat("x", size)); got != want {
			t.Errorf("%d bytes: got %s, want %s", size, got, want)
		}
	}
	if err := server.TryReload(pool("strategy smallest_window few\ndeployment a")); err == nil || !strings.Contains(err.Error(), fmt.Sprint("got 'few', at Caddyfile:")) {
		t.Errorf("got the error %v, want one with the line", err)
	}
}
