package upstreams

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func (r *Retries) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := countPointer(d, &r.Count); err != nil {
		return err
	}
	_, err := block(d, func() error { return r.unmarshalSubdirective(d) })
	return err
}

func (r *Retries) unmarshalSubdirective(d *caddyfile.Dispenser) error {
	switch name := d.Val(); name {
	case "backoff":
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Errf("backoff: expected <initial> <max>, got %d arguments", len(args))
		}
		if err := parseDuration(d, name, args[0], &r.InitialBackoff); err != nil {
			return err
		}
		return parseDuration(d, name, args[1], &r.MaxBackoff)
	case "max_wait":
		args := d.RemainingArgs()
		if len(args) == 0 || len(args) > 2 {
			return d.Errf("max_wait: expected <duration> [<with_fallback>], got %d arguments", len(args))
		}
		if err := parseDuration(d, name, args[0], &r.MaxWait); err != nil || len(args) == 1 {
			return err
		}
		return parseDuration(d, name, args[1], &r.MaxWaitWithFallback)
	case "budget":
		args := d.RemainingArgs()
		if len(args) == 0 || len(args) > 2 {
			return d.Errf("budget: expected <percent> [<min_per_second>], got %d arguments", len(args))
		}
		var err error
		if r.BudgetPercent, err = percent(d, name, args[0], maxNumber); err != nil || len(args) == 1 {
			return err
		}
		r.BudgetMinPerSecond, err = percent(d, name, args[1], maxNumber)
		return err
	}
	return classCount(d, &r.Classes, "retries", "backoff, max_wait, budget")
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
