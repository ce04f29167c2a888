package upstreams

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// Hedge sends a request to a second deployment of the same order when the first is
// late. Whose content comes first serves the client; the other one is given up, and
// costs what it has cost.
type Hedge struct {
	// Hedge nothing, in spite of the router's `hedge`. Default: false.
	Off bool `json:"off,omitempty"`

	// How long the first content is waited for: that of a stream, else the whole
	// answer. Either this or `percentile` has to be set.
	After caddy.Duration `json:"after,omitempty"`

	// Wait instead until the deployment is later than with this percentage of its
	// last 128 answers, from 50 to 99, and 10 ms at least. With fewer than 20 answers
	// nothing is hedged. Streams and other answers count apart.
	Percentile int `json:"percentile,omitempty"`

	// How many hedges one request may have, one at a time. Default: 1.
	Max int `json:"max,omitempty"`
}

const (
	defaultHedges                   = 1
	leastPercentile, mostPercentile = 50, 99
)

func (h *Hedge) validate() error {
	switch {
	case h == nil:
	case h.Max < 0:
		return errors.New("max is negative")
	case h.Off:
		if h.After != 0 || h.Percentile != 0 || h.Max != 0 {
			return errors.New("it is off, and has after, percentile or max")
		}
	case h.After < 0:
		return errors.New("after is negative")
	case (h.After == 0) == (h.Percentile == 0):
		return errors.New("either after or percentile has to be set")
	case h.Percentile != 0 && (h.Percentile < leastPercentile || h.Percentile > mostPercentile):
		return errors.New("percentile is not from 50 to 99")
	}
	return nil
}

func (h *Hedge) engine() engine.HedgePolicy {
	if h == nil || h.Off {
		return engine.HedgePolicy{}
	}
	p := engine.HedgePolicy{After: time.Duration(h.After), Percentile: h.Percentile, Max: h.Max}
	if p.Max == 0 {
		p.Max = defaultHedges
	}
	return p
}
