package litellm

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// affinitySettings say what keeps requests on a deployment.
type affinitySettings struct {
	session, prompt, response bool
	ttl                       caddy.Duration
}

// readPreCallChecks reads optional_pre_call_checks. One of them the router always
// does, and some are an affinity here.
func (cfg *settings) readPreCallChecks(router *section) {
	a := &cfg.affinity
	if v, ok := router.take("optional_pre_call_checks"); ok {
		for _, item := range v.list() {
			switch check := item.text(); check {
			case "enforce_model_rate_limits":
			case "session_affinity":
				a.session = true
			case "prompt_caching":
				a.prompt = true
			case "responses_api_deployment_check":
				a.response = true
			case "deployment_affinity":
				item.warn("%s is not used: all clients have one key here, and would be on one deployment; write session_affinity", check)
			default:
				item.warn("%s has no counterpart yet", check)
			}
		}
	}
	if v, ok := router.take("deployment_affinity_ttl_seconds"); ok {
		if a.ttl = v.seconds(); a.policy() == nil {
			v.warn("has no effect without session_affinity, prompt_caching or responses_api_deployment_check")
		}
	}
}

// policy is the router's affinity; nil is none.
func (a *affinitySettings) policy() *upstreams.Affinity {
	var by []string
	if a.session {
		by = append(by, "{http.request.header.X-Litellm-Session-Id}", "session")
	}
	if a.prompt {
		by = append(by, "prompt")
	}
	if a.response && len(by) == 0 { // which is part of the others
		by = append(by, "previous_response_id")
	}
	if len(by) == 0 {
		return nil
	}
	return &upstreams.Affinity{By: by, TTL: a.ttl}
}
