package llmrouter

import (
	"encoding/json"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("llm_router", parseAppCaddyfile)
}

// parseAppCaddyfile reads one global option; existing is what others of the same
// Caddyfile have said before.
func parseAppCaddyfile(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if before, ok := existing.(httpcaddyfile.App); ok {
		if err := json.Unmarshal(before.Value, app); err != nil {
			return nil, d.WrapErr(err)
		}
	}
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "llm_router", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from the tokens of a global option:
//
//	llm_router {
//		redis <url...> {
//			username <user>
//			password <password>
//			sentinel <master> [[<user>] <password>]
//			prefix   <prefix>
//			strict
//			timeout  <duration>
//		}
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the name of the option
	if d.NextArg() {
		return d.Errf("llm_router: as a global option it takes no arguments, got '%s'", d.Val())
	}
	for d.NextBlock(0) {
		if d.Val() != "redis" {
			return d.Errf("unrecognized subdirective '%s' in the global option llm_router; expected redis", d.Val())
		}
		if a.Redis != nil {
			return d.Err("redis is there twice; give all URLs in one")
		}
		a.Redis = new(Redis)
		if err := a.Redis.unmarshalCaddyfile(d); err != nil {
			return err
		}
	}
	return nil
}

// unmarshalCaddyfile reads from the name of the subdirective on.
func (r *Redis) unmarshalCaddyfile(d *caddyfile.Dispenser) error {
	line := *d // errors of all URLs are where they stand, not behind the block
	r.URLs = d.RemainingArgs()
	if len(r.URLs) == 0 {
		return d.Err("redis: expected at least one URL, such as redis://localhost:6379")
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if seen[name] {
			return d.Errf("redis: %s is there twice", name)
		}
		seen[name] = true
		if err := r.unmarshalSubdirective(d, name, d.RemainingArgs()); err != nil {
			return err
		}
	}
	if strings.Contains(strings.Join(r.URLs, ""), "{") {
		return nil // known when the config is loaded
	}
	if _, err := r.options(); err != nil {
		return line.Errf("redis: %v", err)
	}
	return nil
}

func (r *Redis) unmarshalSubdirective(d *caddyfile.Dispenser, name string, args []string) error {
	low, high, expected := 1, 1, "one argument"
	switch name {
	case "strict":
		low, high, expected = 0, 0, "no arguments"
	case "sentinel":
		high, expected = 3, "the name of the master and, at most, a user and a password"
	case "username", "password", "prefix", "timeout":
	default:
		return d.Errf("unrecognized subdirective '%s' in redis; expected username, password, sentinel, prefix, strict or timeout", name)
	}
	if len(args) < low || len(args) > high {
		return d.Errf("%s: expected %s, got %d", name, expected, len(args))
	}
	switch name {
	case "username":
		r.Username = args[0]
	case "password":
		r.Password = args[0]
	case "strict":
		r.Strict = true
	case "sentinel":
		r.Sentinel = &Sentinel{Master: args[0]}
		if len(args) > 1 {
			r.Sentinel.Password = args[len(args)-1]
		}
		if len(args) > 2 {
			r.Sentinel.Username = args[1]
		}
	case "prefix":
		if !strings.Contains(args[0], "{") {
			if err := checkPrefix(args[0]); err != nil {
				return d.WrapErr(err)
			}
		}
		r.Prefix = args[0]
	case "timeout":
		timeout, err := caddy.ParseDuration(args[0])
		if err != nil || timeout <= 0 || timeout > maxReserveTimeout {
			return d.Errf("timeout: expected a duration up to %v, such as 50ms, got '%s'", maxReserveTimeout, args[0])
		}
		r.Timeout = caddy.Duration(timeout)
	}
	return nil
}

// Interface guard
var _ caddyfile.Unmarshaler = (*App)(nil)
