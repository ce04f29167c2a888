package strategies

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(Latency{})
}

// Latency picks the deployment whose answer is expected soonest. It measures the
// time to the first token, for prompts of about the same size, and from one token
// to the next; slower than before counts at once, faster by and by. For a stream
// the first token and the next fifty count, else the whole answer. What is expected
// is multiplied by the requests that still wait for their first token there, so
// that a server that hangs is seen before its first slow answer. A failure counts
// for a slow answer. Of more than eight deployments it compares two that are drawn
// by weight.
type Latency struct {
	// By how many percent a deployment may be slower than the fastest to count for
	// as fast. Among those it picks at random, by weight. Default: 10.
	Buffer *float64 `json:"buffer,omitempty"`

	// How many percent of the requests may go to a deployment that has not been
	// measured for ten seconds, to see whether it is still slow. It gets one request
	// at a time. Default: 5.
	Explore *float64 `json:"explore,omitempty"`

	// How long it takes until an old measurement has lost two thirds of its weight:
	// it moves towards the median of the others. Default: `30s`.
	Decay caddy.Duration `json:"decay,omitempty"`

	pick selection.Fastest
}

const (
	defaultBuffer  = 10.0 // percent
	defaultExplore = 5.0  // percent
	defaultDecay   = 30 * time.Second
)

// CaddyModule returns the Caddy module information.
func (Latency) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.latency",
		New: func() caddy.Module { return new(Latency) },
	}
}

// UnmarshalCaddyfile sets up the strategy:
//
//	latency {
//		buffer  <percent>
//		explore <percent>
//		decay   <duration>
//	}
func (l *Latency) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, map[string]option{
		"buffer": percent(&l.Buffer), "explore": percent(&l.Explore), "decay": duration(&l.Decay),
	})
}

// Provision implements caddy.Provisioner.
func (l *Latency) Provision(caddy.Context) error {
	for name, percent := range map[string]*float64{"buffer": l.Buffer, "explore": l.Explore} {
		if n := or(percent, 0); n < 0 || n > 100 {
			return fmt.Errorf("%s is %v; expected a percentage from 0 to 100", name, n)
		}
	}
	if l.Decay < 0 {
		return errors.New("decay is negative")
	}
	l.pick = selection.Fastest{
		Buffer: or(l.Buffer, defaultBuffer) / 100, Explore: or(l.Explore, defaultExplore) / 100, Decay: time.Duration(l.Decay),
	}
	if l.Decay == 0 {
		l.pick.Decay = defaultDecay
	}
	return nil
}

// Pick implements selection.Strategy.
func (l *Latency) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return l.pick.Pick(q, usable)
}

// Timed implements selection.Timed.
func (*Latency) Timed() {}

// Interface guards
var (
	_ selection.Timed       = (*Latency)(nil)
	_ caddy.Provisioner     = (*Latency)(nil)
	_ caddyfile.Unmarshaler = (*Latency)(nil)
)
