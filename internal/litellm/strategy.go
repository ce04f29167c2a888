package litellm

import (
	"encoding/json"
	"strings"
)

// strategy is how the router picks, as its module reads it. The zero value is the
// router's default, which is LiteLLM's too.
type strategy struct {
	Name   string   `json:"name"`
	Buffer *float64 `json:"buffer,omitempty"` // percent, of latency
}

// json gives the module's config; nil for the default.
func (s strategy) json() json.RawMessage {
	if s.Name == "" {
		return nil
	}
	raw, err := json.Marshal(s)
	if err != nil { // texts and finite numbers always marshal
		panic(err)
	}
	return raw
}

// strategies are the router's names for LiteLLM's.
var strategies = map[string]string{
	"simple-shuffle":         "",
	"least-busy":             "least_busy",
	"latency-based-routing":  "latency",
	"usage-based-routing":    "usage",
	"usage-based-routing-v2": "usage",
	"cost-based-routing":     "cost",
}

// readStrategy reads how to pick, and whether to move on to another deployment:
// LiteLLM does that for simple-shuffle only.
func (cfg *settings) readStrategy(router *section) {
	theirs := "simple-shuffle"
	if v, ok := router.take("routing_strategy"); ok {
		theirs = v.text()
		if _, known := strategies[theirs]; !known {
			v.fail("%q is not a strategy; expected one of %s", theirs, strings.Join(sortedKeys(strategies), ", "))
		}
	}
	cfg.strategy.Name = strategies[theirs]
	args := router.sub("routing_strategy_args")
	if cfg.strategy.Name == "latency" {
		cfg.strategy.Buffer = args.buffer()
	}
	args.rest(unusedArgs[cfg.strategy.Name], table("has no effect with the strategy "+theirs, allArgs...))
	cfg.weightedFailover = router.on("enable_weighted_failover")
	if cfg.weightedFailover && cfg.strategy.Name != "" {
		router.values["enable_weighted_failover"].warn("has no effect, because LiteLLM fails over with the strategy simple-shuffle only")
		cfg.weightedFailover = false
	}
}

// buffer reads by which part of the lowest latency a deployment may be slower, in
// percent. LiteLLM allows none by default.
func (s *section) buffer() *float64 {
	percent := 0.0
	if v, ok := s.take("lowest_latency_buffer"); ok {
		if percent = 100 * v.number(); percent > 100 {
			v.warn("is taken for 1, the most there is: twice the lowest latency")
			percent = 100
		}
	}
	return &percent
}

// allArgs are the options that any of LiteLLM's strategies has.
var allArgs = []string{"ttl", "lowest_latency_buffer", "max_latency_list_size"}

// unusedArgs say by the router's strategy why an option of it is not mapped.
var unusedArgs = map[string]map[string]string{
	"latency": table("is not used: old measurements fade here; decay of the strategy latency says how soon", "ttl", "max_latency_list_size"),
	"usage":   table("is not used: what was used counts for 60 seconds", "ttl"),
}
