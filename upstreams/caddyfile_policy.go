package upstreams

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// UnmarshalSubdirective reads one subdirective of a policy; false when the
// dispenser stands at none:
//
//	strategy  <name> [{ <options> }]
//	failover  on|off
//	retries   <n> {
//		<class>  <n>
//		backoff  <initial> <max>
//		max_wait <duration> [<with_fallback>]
//		budget   <percent> [<min_per_second>]
//	}
//	cooldown  <duration>|off {
//		failure_rate  <percent> <min_requests>
//		window        <duration>
//		allowed_fails <n>
//		<class>       <n>
//		max           <duration>
//		growth        <factor> <max>
//		max_ejected   <percent>
//	}
//	deadline            <duration>
//	timeout             <duration>
//	first_token_timeout <duration>
//	idle_timeout        <duration>
//	resume              on|off
//	max_parallel        <n>
//	queue               <size> <timeout>|off
//	usage_in_stream     on|off
//	slow_start          <duration>
//	health_panic        on|off
//	fallback                <pool...>
//	context_window_fallback <pool...>
//	content_policy_fallback <pool...>
//	max_fallbacks           <n>
func (p *Policy) UnmarshalSubdirective(d *caddyfile.Dispenser) (known bool, err error) {
	subdirective, ok := policyParsers[d.Val()]
	if !ok {
		return false, nil
	}
	if subdirective.isSet(p) {
		return true, d.Errf("%s is given twice", d.Val())
	}
	token := d.Token()
	if err := subdirective.parse(p, d); err != nil {
		return true, err
	}
	if d.NextBlock(d.Nesting()) {
		return true, At(token).Errf("%s takes no block", token.Text)
	}
	return true, nil
}

// PolicySubdirectives are the names that UnmarshalSubdirective knows.
func PolicySubdirectives() []string { return slices.Sorted(maps.Keys(policyParsers)) }

type policyParser struct {
	isSet func(*Policy) bool
	parse func(*Policy, *caddyfile.Dispenser) error
}

var policyParsers = map[string]policyParser{
	"strategy": {
		func(p *Policy) bool { return p.StrategyRaw != nil },
		(*Policy).unmarshalStrategy,
	},
	"failover": {
		func(p *Policy) bool { return p.Failover != nil },
		func(p *Policy, d *caddyfile.Dispenser) error { return onOff(d, &p.Failover) },
	},
	"retries": {
		func(p *Policy) bool { return p.Retries != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.Retries = new(Retries)
			return p.Retries.unmarshalCaddyfile(d)
		},
	},
	"cooldown": {
		func(p *Policy) bool { return p.Cooldown != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.Cooldown = new(Cooldown)
			return p.Cooldown.unmarshalCaddyfile(d)
		},
	},
	"deadline":            durationParser(func(p *Policy) *caddy.Duration { return &p.Deadline }),
	"timeout":             durationParser(func(p *Policy) *caddy.Duration { return &p.Timeout }),
	"first_token_timeout": durationParser(func(p *Policy) *caddy.Duration { return &p.FirstTokenTimeout }),
	"idle_timeout":        durationParser(func(p *Policy) *caddy.Duration { return &p.IdleTimeout }),
	"slow_start":          durationParser(func(p *Policy) *caddy.Duration { return &p.SlowStart }),
	"max_parallel": {
		func(p *Policy) bool { return p.MaxParallel != 0 },
		func(p *Policy, d *caddyfile.Dispenser) error { return count(d, &p.MaxParallel) },
	},
	"queue": {
		func(p *Policy) bool { return p.Queue != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.Queue = new(Queue)
			return p.Queue.unmarshalCaddyfile(d)
		},
	},
	"resume": {
		func(p *Policy) bool { return p.Resume != nil },
		func(p *Policy, d *caddyfile.Dispenser) error { return onOff(d, &p.Resume) },
	},
	"usage_in_stream": {
		func(p *Policy) bool { return p.UsageInStream != nil },
		func(p *Policy, d *caddyfile.Dispenser) error { return onOff(d, &p.UsageInStream) },
	},
	"health_panic": {
		func(p *Policy) bool { return p.HealthPanic != nil },
		func(p *Policy, d *caddyfile.Dispenser) error { return onOff(d, &p.HealthPanic) },
	},
	"fallback":                poolsParser(func(p *Policy) *[]string { return &p.Fallback }),
	"context_window_fallback": poolsParser(func(p *Policy) *[]string { return &p.ContextWindowFallback }),
	"content_policy_fallback": poolsParser(func(p *Policy) *[]string { return &p.ContentPolicyFallback }),
	"max_fallbacks": {
		func(p *Policy) bool { return p.MaxFallbacks != nil },
		func(p *Policy, d *caddyfile.Dispenser) error { return countPointer(d, &p.MaxFallbacks) },
	},
}

func durationParser(field func(*Policy) *caddy.Duration) policyParser {
	return policyParser{
		func(p *Policy) bool { return *field(p) != 0 },
		func(p *Policy, d *caddyfile.Dispenser) error { return duration(d, field(p)) },
	}
}

func poolsParser(field func(*Policy) *[]string) policyParser {
	return policyParser{
		func(p *Policy) bool { return *field(p) != nil },
		func(p *Policy, d *caddyfile.Dispenser) error { return arguments(d, field(p)) },
	}
}

func (p *Policy) unmarshalStrategy(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("strategy: expected a name")
	}
	name := d.Val()
	id := "http.llm_router.strategies." + name
	if _, err := caddy.GetModule(id); err != nil {
		return d.Errf("strategy: there is no '%s'; expected one of: %s", name, strings.Join(strategies(), ", "))
	}
	strategy, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	p.StrategyRaw = caddyconfig.JSONModuleObject(strategy, "name", name, nil)
	return nil
}

// strategies are the names of the strategies that this Caddy has.
func strategies() []string {
	var names []string
	for _, info := range caddy.GetModules("http.llm_router.strategies") {
		names = append(names, info.ID.Name())
	}
	return names
}

func (r *Retries) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := countPointer(d, &r.Count); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		switch name {
		case "backoff":
			args := d.RemainingArgs()
			if len(args) != 2 {
				return d.Errf("backoff: expected <initial> <max>, got %d arguments", len(args))
			}
			if err := parseDuration(d, name, args[0], &r.InitialBackoff); err != nil {
				return err
			}
			if err := parseDuration(d, name, args[1], &r.MaxBackoff); err != nil {
				return err
			}
		case "max_wait":
			args := d.RemainingArgs()
			if len(args) == 0 || len(args) > 2 {
				return d.Errf("max_wait: expected <duration> [<with_fallback>], got %d arguments", len(args))
			}
			if err := parseDuration(d, name, args[0], &r.MaxWait); err != nil {
				return err
			}
			if len(args) == 2 {
				if err := parseDuration(d, name, args[1], &r.MaxWaitWithFallback); err != nil {
					return err
				}
			}
		case "budget":
			args := d.RemainingArgs()
			if len(args) == 0 || len(args) > 2 {
				return d.Errf("budget: expected <percent> [<min_per_second>], got %d arguments", len(args))
			}
			var err error
			if r.BudgetPercent, err = percent(d, name, args[0], maxNumber); err != nil {
				return err
			}
			if len(args) == 2 {
				if r.BudgetMinPerSecond, err = percent(d, name, args[1], maxNumber); err != nil {
					return err
				}
			}
		default:
			if err := classCount(d, &r.Classes, "retries", "backoff, max_wait, budget"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Cooldown) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.Errf("cooldown: expected <duration> or off, got %d arguments", len(args))
	}
	if len(args) == 1 {
		if args[0] == "off" {
			c.Off = true
		} else if err := parseDuration(d, "cooldown", args[0], &c.Duration); err != nil {
			return err
		}
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := c.unmarshalSubdirective(d); err != nil {
			return err
		}
	}
	if len(args) == 0 && len(seen) == 0 {
		return d.Err("cooldown: expected <duration> or off")
	}
	return nil
}

func (c *Cooldown) unmarshalSubdirective(d *caddyfile.Dispenser) error {
	name := d.Val()
	switch name {
	case "failure_rate":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf("failure_rate: expected <percent> <min_requests>, got %d arguments", len(args))
		}
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 0 {
			return d.Errf("failure_rate: expected a number of requests, got '%s'", args[1])
		}
		c.MinRequests = &n
		c.FailureRate, err = percent(d, name, args[0], 100)
		return err
	case "growth":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf("growth: expected <factor> <max>, got %d arguments", len(args))
		}
		factor, err := strconv.ParseFloat(args[0], 64)
		if err != nil || !(factor >= 1) || factor > maxNumber {
			return d.Errf("growth: expected a factor of at least 1, got '%s'", args[0])
		}
		c.Growth = &factor
		return parseDuration(d, name, args[1], &c.GrowthMax)
	case "max_ejected":
		var text string
		if err := argument(d, &text); err != nil {
			return err
		}
		var err error
		c.MaxEjected, err = percent(d, name, text, 100)
		return err
	case "window":
		return duration(d, &c.Window)
	case "max":
		return duration(d, &c.Max)
	case "allowed_fails":
		return countPointer(d, &c.AllowedFails)
	}
	return classCount(d, &c.Classes, "cooldown", "failure_rate, window, allowed_fails, max, growth, max_ejected")
}

// classCount reads "<class> <n>".
func classCount(d *caddyfile.Dispenser, into *map[string]int, block, others string) error {
	name := d.Val()
	class, ok := retry.ParseClass(name)
	if !ok || !class.Blames() {
		return d.Errf("unrecognized subdirective '%s' in %s; expected %s or an error class: %s",
			name, block, others, strings.Join(blamedClasses(), ", "))
	}
	var n *int
	if err := countPointer(d, &n); err != nil {
		return err
	}
	if *into == nil {
		*into = make(map[string]int)
	}
	(*into)[name] = *n
	return nil
}

func countPointer(d *caddyfile.Dispenser, into **int) error {
	var n int64
	if err := count(d, &n); err != nil {
		return err
	}
	value := int(n)
	*into = &value
	return nil
}

// percent reads a number from 0 to limit, with or without a percent sign.
func percent(d *caddyfile.Dispenser, name, text string, limit float64) (*float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n >= 0) || n > limit {
		if limit == maxNumber {
			return nil, d.Errf("%s: expected a number that is not negative, got '%s'", name, text)
		}
		return nil, d.Errf("%s: expected a number from 0 to %v, got '%s'", name, limit, text)
	}
	return &n, nil
}
