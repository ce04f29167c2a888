package upstreams

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// unmarshalProxy hands the subdirectives that are not the deployment's own to
// Caddy's reverse proxy, with their places in the file.
func (dep *Deployment) unmarshalProxy(start caddyfile.Token, foreign []caddyfile.Segment) error {
	if err := dep.refuseSegments(foreign); err != nil {
		return err
	}
	// Made anew: a copy of a quoted token would be quoted, and a quoted brace
	// closes nothing.
	token := func(text string, at caddyfile.Token, below int) caddyfile.Token {
		return caddyfile.Token{File: at.File, Line: at.Line + below, Text: text}
	}
	tokens := []caddyfile.Token{token("reverse_proxy", start, 0), token("{", start, 0)}
	tokens = append(tokens, slices.Concat(foreign...)...)
	tokens = append(tokens, token("}", tokens[len(tokens)-1], 1))
	dep.ReverseProxy = new(reverseproxy.Handler)
	err := dep.ReverseProxy.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens))
	if err == nil {
		return nil
	}
	for _, segment := range foreign {
		if strings.HasPrefix(err.Error(), "unrecognized subdirective "+segment.Directive()+",") {
			return fmt.Errorf("deployment %s: expected %s or a subdirective of reverse_proxy: %w",
				dep.ID, strings.Join(slices.Sorted(maps.Keys(deploymentSubdirectives)), ", "), err)
		}
	}
	return fmt.Errorf("deployment %s: %w", dep.ID, err)
}

// refuseSegments refuses subdirectives of reverse_proxy that depend on others,
// on the deployment's own or on their arguments.
func (dep *Deployment) refuseSegments(foreign []caddyfile.Segment) error {
	dynamic := slices.ContainsFunc(foreign, func(s caddyfile.Segment) bool { return s.Directive() == "dynamic" })
	for _, segment := range foreign {
		switch {
		case segment.Directive() == "lb_policy" && !dynamic:
			return At(segment[0]).Errf("deployment %s: lb_policy is not available here but beside dynamic: write strategy in the pool", dep.ID)
		case segment.Directive() == "transport" && len(segment) > 1 && segment[1].Text == "fastcgi":
			return At(segment[0]).Errf("deployment %s: transport fastcgi is not available here: it does not speak to model servers", dep.ID)
		case dep.HealthProbe == "":
		case segment.Directive() == "dynamic":
			return At(segment[0]).Errf("deployment %s: dynamic %s", dep.ID, probeDynamic)
		default:
			for _, other := range besideProbe {
				if segment.Directive() == other.subdirective {
					return At(segment[0]).Errf("deployment %s: %s %s", dep.ID, other.subdirective, probeAlone)
				}
			}
		}
	}
	return nil
}

// refused are the subdirectives of reverse_proxy that would fight the router,
// with what to write instead.
var refused = map[string]string{
	"to":                      "a deployment has one address; write base_url, or another deployment",
	"lb_retries":              "write retries in the pool",
	"lb_try_duration":         "write deadline in the pool",
	"lb_try_interval":         "write retries { backoff } in the pool",
	"lb_retry_match":          "the router judges responses itself; write retries in the pool",
	"handle_response":         "the router judges responses itself",
	"replace_status":          "the router judges responses itself",
	"copy_response":           "the router judges responses itself",
	"copy_response_headers":   "the router judges responses itself; write header_down",
	"rewrite":                 "write a path prefix in base_url, or a rewrite directive before llm_router",
	"method":                  "the client's method is kept",
	"request_buffers":         "the router buffers each request once; write max_body",
	"response_buffers":        "the router holds answers back as long as it has to",
	"flush_interval":          "the router flushes event by event",
	"fail_duration":           "Caddy counts failures by address; write cooldown",
	"max_fails":               "Caddy counts failures by address; write cooldown { allowed_fails }",
	"unhealthy_status":        "the router judges responses itself; write cooldown",
	"unhealthy_latency":       "write first_token_timeout or timeout",
	"unhealthy_request_count": "write max_parallel",
	"trusted_proxies":         "X-Forwarded-* is only sent by header_up; set trusted_proxies in the global servers options",
}
