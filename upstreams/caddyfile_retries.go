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
