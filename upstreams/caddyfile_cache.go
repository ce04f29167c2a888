package upstreams

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

func (c *Cache) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("cache: expected <ttl> or off, got %d arguments", len(args))
	}
	if args[0] == "off" {
		c.Off = true
		return nil
	}
	if err := parseDuration(d, "cache", args[0], &c.TTL); err != nil {
		return err
	}
	_, err := block(d, func() error { return c.unmarshalSubdirective(d) })
	return err
}

func (c *Cache) unmarshalSubdirective(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "group":
		return argument(d, &c.Group)
	case "size":
		return size(d, &c.Size)
	case "max_item":
		return size(d, &c.MaxItem)
	case "vary":
		return arguments(d, &c.Vary)
	case "defaults":
		return onOff(d, &c.Defaults)
	}
	return d.Errf("unrecognized subdirective '%s' in cache; expected group, size, max_item, vary or defaults", d.Val())
}

// size reads a number of bytes.
func size(d *caddyfile.Dispenser, into *int64) error {
	name := d.Val()
	var text string
	if err := argument(d, &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<40 {
		return d.Errf("%s: expected a size such as 64MiB, got '%s'", name, text)
	}
	*into = int64(n)
	return nil
}
