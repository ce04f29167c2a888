package mock

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the transport from Caddyfile tokens. Every
// subdirective is optional and may be given once:
//
//	transport llm_mock {
//	    # answers
//	    response    <text>
//	    tokens      <n>
//
//	    # delays
//	    latency     <duration>
//	    first_token <duration>
//	    interval    <duration>
//
//	    # failures
//	    error       <status> <class> [<message>]
//	    fail_first  <n>
//	    fail_rate   <percent>
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the transport's name
	if d.NextArg() {
		return d.Errf("llm_mock takes no arguments, got '%s'; its options go into a block", d.Val())
	}
	seen := make(map[string]bool)
	for d.NextBlock(0) {
		name := d.Val()
		if seen[name] {
			return d.Errf("%s is set twice", name)
		}
		seen[name] = true
		if err := t.option(d, name, d.RemainingArgs()); err != nil {
			return err
		}
		if d.NextBlock(d.Nesting()) {
			return d.Errf("%s takes no block", name)
		}
		// The first value out of range is the one on this line.
		if err := t.Validate(); err != nil {
			return d.WrapErr(err)
		}
	}
	return nil
}

func (t *Transport) option(d *caddyfile.Dispenser, name string, args []string) error {
	switch name {
	case "response":
		if len(args) != 1 || args[0] == "" {
			return d.Errf("response: expected one text, in quotes if it has spaces, got %d arguments", len(args))
		}
		t.Response = args[0]
		return nil
	case "error":
		return t.failure(d, args)
	case "latency":
		return duration(d, name, args, &t.Latency)
	case "first_token":
		return duration(d, name, args, &t.FirstToken)
	case "interval":
		return duration(d, name, args, &t.Interval)
	case "tokens":
		return number(d, name, args, &t.Tokens)
	case "fail_first":
		return number(d, name, args, &t.FailFirst)
	case "fail_rate":
		if len(args) != 1 {
			return d.Errf("fail_rate: expected one percentage from 0 to 100, got %d arguments", len(args))
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(args[0], "%"), 64)
		if err != nil {
			return d.Errf("fail_rate: expected a percentage from 0 to 100, got '%s'", args[0])
		}
		t.FailRate = &percent
		return nil
	}
	return d.Errf("unrecognized llm_mock subdirective '%s'; expected response, error, latency, "+
		"first_token, interval, tokens, fail_first or fail_rate", name)
}

func (t *Transport) failure(d *caddyfile.Dispenser, args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return d.Errf("error: expected <status> <class> [<message>], the message in quotes if it has spaces, "+
			"got %d arguments", len(args))
	}
	status, err := strconv.Atoi(args[0])
	if err != nil {
		return d.Errf("error: expected a status from 400 to 599, got '%s'", args[0])
	}
	t.Error = &Failure{Status: status, Class: args[1]}
	if len(args) == 3 {
		t.Error.Message = args[2]
	}
	return nil
}

func duration(d *caddyfile.Dispenser, name string, args []string, into *caddy.Duration) error {
	if len(args) != 1 {
		return d.Errf("%s: expected one duration such as 200ms, got %d arguments", name, len(args))
	}
	value, err := caddy.ParseDuration(args[0])
	if err != nil {
		return d.Errf("%s: expected a duration such as 200ms, got '%s'", name, args[0])
	}
	*into = caddy.Duration(value)
	return nil
}

func number(d *caddyfile.Dispenser, name string, args []string, into **int) error {
	if len(args) != 1 {
		return d.Errf("%s: expected one number, got %d arguments", name, len(args))
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return d.Errf("%s: expected a number, got '%s'", name, args[0])
	}
	*into = &n
	return nil
}
