package upstreams

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
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
//	hedge               <duration>|p<NN> [<max>]|off
//	max_parallel        <n>
//	queue               <size> <timeout>|off
//	affinity            <value...>|off {
//		ttl  <duration>
//		size <n>
//	}
//	cache               <ttl>|off {
//		group    <name>
//		size     <bytes>
//		max_item <bytes>
//		vary     <value...>
//		defaults on|off
//	}
//	usage_in_stream     on|off
//	pre_call_checks     on|off {
//		tokenizer <name>
//	}
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
	"affinity": {
		func(p *Policy) bool { return p.Affinity != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.Affinity = new(Affinity)
			return p.Affinity.unmarshalCaddyfile(d)
		},
	},
	"hedge": {
		func(p *Policy) bool { return p.Hedge != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.Hedge = new(Hedge)
			return p.Hedge.unmarshalCaddyfile(d)
		},
	},
	"cache": {
		func(p *Policy) bool { return p.Cache != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.Cache = new(Cache)
			return p.Cache.unmarshalCaddyfile(d)
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
	"pre_call_checks": {
		func(p *Policy) bool { return p.PreCallChecks != nil },
		func(p *Policy, d *caddyfile.Dispenser) error {
			p.PreCallChecks = new(PreCallChecks)
			return p.PreCallChecks.unmarshalCaddyfile(d)
		},
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
		return d.Errf("strategy: there is no '%s'; expected one of: %s", name, strings.Join(strategyNames(), ", "))
	}
	strategy, err := caddyfile.UnmarshalModule(d, id)
	if err != nil {
		return err
	}
	p.StrategyRaw = caddyconfig.JSONModuleObject(strategy, "name", name, nil)
	return nil
}

// strategyNames are those of the strategies that this Caddy has.
func strategyNames() []string {
	var names []string
	for _, info := range caddy.GetModules("http.llm_router.strategies") {
		names = append(names, info.ID.Name())
	}
	return names
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
