package upstreams

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the pool from a pool block:
//
//	pool <name> [<alias...>] {
//		<policy...>
//		deployment <id> [<base_url>] {
//			...
//		}
//	}
func (p *Pool) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	start := d.Token()
	if !d.NextArg() {
		return d.Err("pool: expected the name that clients ask for")
	}
	p.Name = d.Val()
	p.Aliases = d.RemainingArgs()
	for _, name := range append([]string{p.Name}, p.Aliases...) {
		if err := validateName(name); err != nil {
			return d.WrapErr(err)
		}
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() == "deployment" {
			deployment := new(Deployment)
			first := d.Token()
			if err := deployment.UnmarshalCaddyfile(d); err != nil {
				return err
			}
			if slices.ContainsFunc(p.Deployments, func(o *Deployment) bool { return o.ID == deployment.ID }) {
				return At(first).Errf("pool %s: two deployments have the id %s", p.Name, deployment.ID)
			}
			p.Deployments = append(p.Deployments, deployment)
			continue
		}
		known, err := p.Policy.UnmarshalSubdirective(d)
		if err != nil {
			return err
		}
		if !known {
			return d.Errf("unrecognized subdirective '%s' in pool %s; expected deployment or one of: %s",
				d.Val(), p.Name, strings.Join(PolicySubdirectives(), ", "))
		}
	}
	if len(p.Deployments) == 0 {
		return At(start).Errf("pool %s has no deployments; expected at least one: deployment <id> <base_url>", p.Name)
	}
	return nil
}

// At is a dispenser that stands at a token, for errors about what was read
// before.
func At(token caddyfile.Token) *caddyfile.Dispenser {
	d := caddyfile.NewDispenser([]caddyfile.Token{token})
	d.Next()
	return d
}

// UnmarshalCaddyfile sets up the deployment from a deployment block:
//
//	deployment <id> [<base_url>] {
//		base_url            <url>
//		model               <name>
//		api_key             <key> [<header>]
//		weight              <n>
//		order               <n>
//		rpm                 <n>
//		tpm                 <n>
//		max_parallel        <n>
//		cost                <input> <output> [<cached>]
//		base_model          <name>
//		timeout             <duration>
//		first_token_timeout <duration>
//		idle_timeout        <duration>
//		context_window      <tokens>
//		max_input           <tokens>
//		max_output          <tokens>
//		tokenizer           <name>
//		region              <name>
//		team                <id...>
//		tags                <tag...>
//		pass_priority       on|off
//		health_probe        models|completion
//		<subdirectives of reverse_proxy...>
//	}
func (dep *Deployment) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	start := d.Token()
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.Errf("deployment: expected an id and a base_url, got %d arguments", len(args))
	}
	dep.ID = args[0]
	if len(args) == 2 {
		dep.BaseURL = args[1]
	}
	address := start // where the base_url is
	seen := make(map[string]bool)
	var foreign []caddyfile.Segment
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse, own := deploymentSubdirectives[name]
		if !own {
			if instead, ok := refused[name]; ok {
				return d.Errf("deployment %s: %s is not available here: %s", dep.ID, name, instead)
			}
			foreign = append(foreign, d.NextSegment())
			continue
		}
		if name == "base_url" {
			address = d.Token()
		}
		if seen[name] {
			return d.Errf("deployment %s: %s is given twice", dep.ID, name)
		}
		seen[name] = true
		token := d.Token()
		if err := parse(dep, d); err != nil {
			return err
		}
		if d.NextBlock(d.Nesting()) {
			return At(token).Errf("deployment %s: %s takes no block", dep.ID, name)
		}
	}
	if dep.BaseURL != "" && !strings.Contains(dep.BaseURL, "{") {
		if _, err := parseBaseURL(dep.BaseURL); err != nil {
			return At(address).Errf("deployment %s: %v", dep.ID, err)
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return dep.unmarshalProxy(start, foreign)
}

type parser func(*Deployment, *caddyfile.Dispenser) error

var deploymentSubdirectives = map[string]parser{
	"base_url": func(dep *Deployment, d *caddyfile.Dispenser) error {
		if dep.BaseURL != "" {
			return d.Errf("deployment %s: the base_url is given twice", dep.ID)
		}
		return argument(d, &dep.BaseURL)
	},
	"model": func(dep *Deployment, d *caddyfile.Dispenser) error { return argument(d, &dep.Model) },
	"api_key": func(dep *Deployment, d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 || len(args) > 2 {
			return d.Errf("deployment %s: api_key: expected <key> [<header>], got %d arguments", dep.ID, len(args))
		}
		dep.APIKey = args[0]
		if len(args) == 2 {
			if strings.EqualFold(dep.APIKey, "Bearer") { // the key would be the name of a header
				return d.Errf("deployment %s: api_key: write the key alone; Bearer is put before it", dep.ID)
			}
			dep.APIKeyHeader = args[1]
		}
		return nil
	},
	"weight": func(dep *Deployment, d *caddyfile.Dispenser) error { return numberPointer(d, &dep.Weight) },
	"order": func(dep *Deployment, d *caddyfile.Dispenser) error {
		var n int64
		if err := count(d, &n); err != nil {
			return err
		}
		order := int(n)
		dep.Order = &order
		return nil
	},
	"rpm":                 func(dep *Deployment, d *caddyfile.Dispenser) error { return count(d, &dep.RPM) },
	"tpm":                 func(dep *Deployment, d *caddyfile.Dispenser) error { return count(d, &dep.TPM) },
	"max_parallel":        func(dep *Deployment, d *caddyfile.Dispenser) error { return count(d, &dep.MaxParallel) },
	"cost":                func(dep *Deployment, d *caddyfile.Dispenser) error { return dep.unmarshalCost(d) },
	"timeout":             func(dep *Deployment, d *caddyfile.Dispenser) error { return duration(d, &dep.Timeout) },
	"first_token_timeout": func(dep *Deployment, d *caddyfile.Dispenser) error { return duration(d, &dep.FirstTokenTimeout) },
	"idle_timeout":        func(dep *Deployment, d *caddyfile.Dispenser) error { return duration(d, &dep.IdleTimeout) },
	"context_window":      func(dep *Deployment, d *caddyfile.Dispenser) error { return tokens(d, &dep.ContextWindow) },
	"max_input":           func(dep *Deployment, d *caddyfile.Dispenser) error { return tokens(d, &dep.MaxInput) },
	"max_output":          func(dep *Deployment, d *caddyfile.Dispenser) error { return tokens(d, &dep.MaxOutput) },
	"base_model":          func(dep *Deployment, d *caddyfile.Dispenser) error { return argument(d, &dep.BaseModel) },
	"region":              func(dep *Deployment, d *caddyfile.Dispenser) error { return argument(d, &dep.Region) },
	"tokenizer":           func(dep *Deployment, d *caddyfile.Dispenser) error { return tokenizer(d, &dep.Tokenizer) },
	"team":                func(dep *Deployment, d *caddyfile.Dispenser) error { return arguments(d, &dep.Teams) },
	"tags":                func(dep *Deployment, d *caddyfile.Dispenser) error { return arguments(d, &dep.Tags) },
	"pass_priority": func(dep *Deployment, d *caddyfile.Dispenser) error {
		var on *bool
		err := onOff(d, &on)
		dep.PassPriority = or(on, false)
		return err
	},
	"health_probe": func(dep *Deployment, d *caddyfile.Dispenser) error {
		if err := argument(d, &dep.HealthProbe); err != nil {
			return err
		}
		if dep.HealthProbe != probeModels && dep.HealthProbe != probeCompletion {
			return d.Errf("health_probe: expected models or completion, got '%s'", dep.HealthProbe)
		}
		return nil
	},
}

// The readers of arguments below name the subdirective and what was expected.

func argument(d *caddyfile.Dispenser, into *string) error {
	name := d.Val()
	if args := d.RemainingArgs(); len(args) == 1 {
		*into = args[0]
		return nil
	} else {
		return d.Errf("%s: expected one argument, got %d", name, len(args))
	}
}

func arguments(d *caddyfile.Dispenser, into *[]string) error {
	name := d.Val()
	*into = d.RemainingArgs()
	if len(*into) == 0 {
		return d.Errf("%s: expected at least one argument", name)
	}
	return nil
}

func duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	name := d.Val()
	var text string
	if err := argument(d, &text); err != nil {
		return err
	}
	return parseDuration(d, name, text, into)
}

func parseDuration(d *caddyfile.Dispenser, name, text string, into *caddy.Duration) error {
	value, err := caddy.ParseDuration(text)
	if err != nil || value <= 0 {
		return d.Errf("%s: expected a duration above zero such as 30s, got '%s'", name, text)
	}
	*into = caddy.Duration(value)
	return nil
}

func count(d *caddyfile.Dispenser, into *int64) error {
	name := d.Val()
	var text string
	if err := argument(d, &text); err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return d.Errf("%s: expected a whole number that is not negative, got '%s'", name, text)
	}
	*into = n
	return nil
}

func tokens(d *caddyfile.Dispenser, into *int) error {
	var n int64
	err := count(d, &n)
	*into = int(n)
	return err
}

func numberPointer(d *caddyfile.Dispenser, into **float64) error {
	name := d.Val()
	var text string
	if err := argument(d, &text); err != nil {
		return err
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0) || n > maxNumber {
		return d.Errf("%s: expected a number that is not negative, got '%s'", name, text)
	}
	*into = &n
	return nil
}

// maxNumber keeps sums of weights finite.
const maxNumber = 1e15

func onOff(d *caddyfile.Dispenser, into **bool) error {
	name := d.Val()
	var text string
	if err := argument(d, &text); err != nil {
		return err
	}
	if text != "on" && text != "off" {
		return d.Errf("%s: expected on or off, got '%s'", name, text)
	}
	on := text == "on"
	*into = &on
	return nil
}
