package upstreams

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// block reads the subdirectives of a block, none of them twice, and tells whether
// there are any.
func block(d *caddyfile.Dispenser, read func() error) (found bool, err error) {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return true, d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := read(); err != nil {
			return true, err
		}
	}
	return len(seen) > 0, nil
}
