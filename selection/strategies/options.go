package strategies

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// option takes the value of an option in, or tells what was expected instead.
type option func(value string) (expected string)

// unmarshal reads a strategy and its options, of which each has one value:
//
//	<name> {
//		<option> <value>
//	}
func unmarshal(d *caddyfile.Dispenser, options map[string]option) error {
	d.Next()
	name := d.Val()
	if d.NextArg() {
		if len(options) == 0 {
			return d.Errf("strategy %s has no options; unexpected '%s'", name, d.Val())
		}
		return d.Errf("strategy %s takes its options in a block; unexpected '%s'", name, d.Val())
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		key := d.Val()
		set, ok := options[key]
		switch {
		case len(options) == 0:
			return d.Errf("strategy %s has no options; unexpected '%s'", name, key)
		case !ok:
			return d.Errf("strategy %s has no option '%s'; expected one of: %s", name, key, strings.Join(slices.Sorted(maps.Keys(options)), ", "))
		case seen[key]:
			return d.Errf("strategy %s: %s is given twice", name, key)
		}
		seen[key] = true
		here := caddyfile.NewDispenser([]caddyfile.Token{d.Token()}) // a block's brace may be elsewhere
		args := d.RemainingArgs()
		if len(args) != 1 {
			return d.Errf("strategy %s: %s: expected one argument, got %d", name, key, len(args))
		}
		if expected := set(args[0]); expected != "" {
			return d.Errf("strategy %s: %s: expected %s, got '%s'", name, key, expected, args[0])
		}
		if d.NextBlock(d.Nesting()) {
			here.Next()
			return here.Errf("strategy %s: %s takes no block", name, key)
		}
	}
	return nil
}

// The readers of values below say what they expect.

func percent(into **float64) option {
	return func(value string) string {
		n, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		if err != nil || !(n >= 0 && n <= 100) {
			return "a percentage from 0% to 100%"
		}
		*into = &n
		return ""
	}
}

func duration(into *caddy.Duration) option {
	return func(value string) string {
		d, err := caddy.ParseDuration(value)
		if err != nil || d <= 0 {
			return "a duration above zero such as 30s"
		}
		*into = caddy.Duration(d)
		return ""
	}
}

func size(into *int64) option {
	return func(value string) string {
		n, err := humanize.ParseBytes(value)
		if err != nil || n < minMemory || n > maxMemory {
			return "a size from 64KiB to 16GiB"
		}
		*into = int64(n)
		return ""
	}
}

func factor(into *float64) option {
	return func(value string) string {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || !(n >= 1 && n <= maxBalance) {
			return "a number from 1 to 1000"
		}
		*into = n
		return ""
	}
}

func or[T any](p *T, def T) T {
	if p != nil {
		return *p
	}
	return def
}
