package litellm

import (
	"maps"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// errorClasses are the router's classes for the names of LiteLLM's exceptions.
// A refused connection is an internal server error to LiteLLM.
var errorClasses = map[string][]string{
	"AuthenticationError":     {"auth"},
	"TimeoutError":            {"timeout"},
	"RateLimitError":          {"rate_limit"},
	"InternalServerError":     {"server_error", "connection"},
	"ServiceUnavailableError": {"overloaded"},
	"NotFoundError":           {"not_found"},
}

// classes reads a mapping from exceptions to counts, whose keys all end in
// suffix. blameless says what is done about exceptions that are nobody's fault.
func (s *section) classes(suffix, blameless string) map[string]int {
	counts := make(map[string]int)
	for _, v := range s.all() {
		exception, ok := strings.CutSuffix(v.key, suffix)
		classes := errorClasses[exception]
		switch {
		case ok && (exception == "BadRequestError" || exception == "ContentPolicyViolationError"):
			v.warn("has no counterpart: such a request is not the deployment's fault and %s", blameless)
		case ok && exception == "BadGatewayError":
			v.warn("has no counterpart: status 502 counts as InternalServerError")
		case classes == nil:
			v.warn("is not an error class that is known here; it is ignored")
		}
		n := int(v.whole())
		for _, class := range classes {
			counts[class] = n
		}
	}
	return counts
}

// cooldownSettings say when deployments are left out, on the router or on a
// deployment. What is nil is not set.
type cooldownSettings struct {
	duration *caddy.Duration
	off      bool
	allowed  *int
	classes  map[string]int
}

func (c *cooldownSettings) read(router *section, both func(string) (value, bool)) {
	if v, ok := both("cooldown_time"); ok {
		d := v.seconds()
		c.duration = &d
	}
	if v, ok := both("allowed_fails"); ok {
		n := int(v.whole())
		c.allowed = &n
	}
	if v, ok := router.take("allowed_fails_policy"); ok {
		c.classes = v.section().classes("AllowedFails", "never cools a deployment here")
	}
	c.off = router.on("disable_cooldowns")
}

// policy is the router's. Without counts it is LiteLLM's failure rate, which
// has the same numbers; allowed_fails 3 alone means it too.
func (c *cooldownSettings) policy() *upstreams.Cooldown {
	one := 1.0
	p := &upstreams.Cooldown{Duration: defaultCooldown, Growth: &one}
	if c.duration != nil {
		p.Duration = *c.duration
	}
	if c.off || p.Duration == 0 {
		return &upstreams.Cooldown{Off: true}
	}
	if c.classes == nil && (c.allowed == nil || *c.allowed == defaultAllowed) {
		return p
	}
	c.count(p)
	return p
}

// count makes p count failures. LiteLLM counts them for as long as a cooldown
// takes, and those classes too that cool at once under the failure rate.
func (c *cooldownSettings) count(p *upstreams.Cooldown) {
	n := defaultAllowed
	if c.allowed != nil {
		n = *c.allowed
	}
	p.AllowedFails, p.Window = &n, p.Duration
	p.Classes = make(map[string]int)
	if n > 0 {
		p.Classes = map[string]int{"rate_limit": n, "auth": n, "not_found": n}
	}
	maps.Copy(p.Classes, c.classes)
}
