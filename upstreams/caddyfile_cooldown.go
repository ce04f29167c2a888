package upstreams

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

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
	found, err := block(d, func() error { return c.unmarshalSubdirective(d) })
	if err != nil {
		return err
	}
	if len(args) == 0 && !found {
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
