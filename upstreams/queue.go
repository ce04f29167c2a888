package upstreams

import (
	"errors"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// Queue lets requests wait where every deployment of a pool is full, has used up
// its limits, or is back from a cooldown soon. Who waits is served in the order
// of priority, and among equals fairly between teams. Where there is a fallback,
// a request goes there instead of waiting.
type Queue struct {
	// Turn a request away at once, in spite of the router's queue.
	// Default: false.
	Off bool `json:"off,omitempty"`

	// How many requests may wait for a pool, with their bodies in memory. One more
	// turns the least important away. Default: 100.
	Size int `json:"size,omitempty"`

	// How long a request may wait. Default: `30s`.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

const (
	defaultQueueSize    = 100
	defaultQueueTimeout = 30 * time.Second
)

func (q *Queue) validate() error {
	switch {
	case q == nil:
		return nil
	case q.Size < 0:
		return errors.New("size is negative")
	case q.Timeout < 0:
		return errors.New("timeout is negative")
	}
	return nil
}

func (q *Queue) engine() engine.QueuePolicy {
	if q == nil || q.Off {
		return engine.QueuePolicy{}
	}
	p := engine.QueuePolicy{Size: q.Size, Timeout: orDuration(q.Timeout, defaultQueueTimeout)}
	if p.Size == 0 {
		p.Size = defaultQueueSize
	}
	return p
}

func (q *Queue) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "off":
		q.Off = true
		return nil
	case len(args) != 2:
		return d.Errf("queue: expected <size> <timeout> or off, got %d arguments", len(args))
	}
	size, err := strconv.Atoi(args[0])
	if err != nil || size <= 0 {
		return d.Errf("queue: expected a size above zero such as 100, got '%s'", args[0])
	}
	q.Size = size
	return parseDuration(d, "queue", args[1], &q.Timeout)
}
