package litellm_test

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// router gives the llm_router handler of an adapted config.
func router(t *testing.T, config string) (handler gjson.Result, warnings string) {
	t.Helper()
	adapted, list, err := adapt(t, "config.yaml", config)
	if err != nil {
		t.Fatal(err)
	}
	handler = gjson.GetBytes(adapted, `apps.http.servers.litellm.routes.@reverse.0.handle.#(handler=="llm_router")`)
	if !handler.Exists() {
		t.Fatalf("got no router in %s", adapted)
	}
	return handler, listWarnings(list)
}

const twoDeployments = "model_list:\n  - {model_name: gpt, litellm_params: {model: openai/a}}\n  - {model_name: gpt, litellm_params: {model: openai/b}}\n"

func TestSettings(t *testing.T) {
	for _, tc := range []struct{ name, settings, path, want string }{
		{"retries by default", "", "retries.count", "2"},
		{"timeouts are retried", "", "retries.classes.timeout", "2"},
		{"no budget for retries", "", "retries.budget_percent", "200"},
		{"another deployment may have a better key", "", "pools.0.retries.classes", `{"auth":2,"quota":2}`},
		{"with failover that is not needed", "router_settings: {enable_weighted_failover: true}", "pools.0.retries", ""},
		{"no retries at all", "router_settings: {num_retries: 0}", "retries", `{"count":0}`},
		{"retries of the library", "litellm_settings: {num_retries: 7}", "retries.count", "7"},
		{"the router's win", "litellm_settings: {num_retries: 7}\nrouter_settings: {num_retries: 1}", "retries.count", "1"},
		{"numbers as texts", `router_settings: {num_retries: "4"}`, "retries.count", "4"},
		{"retry_after", "router_settings: {retry_after: 0.5}", "retries.initial_backoff", "500000000"},
		{"no failover by default", "", "failover", "false"},
		{"weighted failover", "router_settings: {enable_weighted_failover: true}", "failover", "true"},
		{"failover with Python's True", "router_settings: {enable_weighted_failover: True}", "failover", "true"},
		{"failover is for simple-shuffle", "router_settings: {enable_weighted_failover: true, routing_strategy: least-busy}", "failover", "false"},
		{"cooldown by default", "", "cooldown", `{"duration":5000000000,"growth":1}`},
		{"three allowed fails are the failure rate", "router_settings: {allowed_fails: 3}", "cooldown", `{"duration":5000000000,"growth":1}`},
		{"none allowed", "router_settings: {allowed_fails: 0}", "cooldown", `{"duration":5000000000,"window":5000000000,"allowed_fails":0,"growth":1}`},
		{"some allowed", "router_settings: {allowed_fails: 2, cooldown_time: 60}", "cooldown", `{"duration":60000000000,"window":60000000000,"allowed_fails":2,"classes":{"auth":2,"not_found":2,"rate_limit":2},"growth":1}`},
		{"a policy", "router_settings: {allowed_fails_policy: {RateLimitErrorAllowedFails: 9}}", "cooldown.classes", `{"auth":3,"not_found":3,"rate_limit":9}`},
		{"no cooldowns", "router_settings: {disable_cooldowns: true}", "cooldown", `{"off":true}`},
		{"cooldowns of no length", "router_settings: {cooldown_time: 0}", "cooldown", `{"off":true}`},
		{"deadline by default", "", "deadline", "6000000000000"},
		{"no timeout by default", "", "timeout", ""},
		{"timeout", "router_settings: {timeout: 30}", "timeout", "30000000000"},
		{"deadline over all attempts", "router_settings: {timeout: 30}", "deadline", "540000000000"},
		{"a long timeout is for silences too", "router_settings: {timeout: 300}", "idle_timeout", "300000000000"},
		{"a short one is not", "router_settings: {timeout: 30}", "idle_timeout", ""},
		{"stream_timeout", "router_settings: {stream_timeout: 2.5}", "first_token_timeout", "2500000000"},
		{"request_timeout", "litellm_settings: {request_timeout: 40}\nrouter_settings: {timeout: 30}", "timeout", "40000000000"},
		{"default fallbacks", "router_settings: {default_fallbacks: [gpt]}", "default_fallback", `["gpt"]`},
		{"a star in fallbacks", `litellm_settings: {fallbacks: [{"*": [gpt]}]}`, "default_fallback", `["gpt"]`},
		{"a star for long prompts", `router_settings: {context_window_fallbacks: [{"*": [gpt]}]}`, "context_window_fallback", `["gpt"]`},
		{"a star for filters", `router_settings: {content_policy_fallbacks: [{"*": [gpt]}]}`, "content_policy_fallback", `["gpt"]`},
		{"no regions by default", "", "client_options.#(=region)", ""},
		{"regions that no deployment has", "router_settings: {enable_pre_call_checks: true}", "client_options.#(=region)", `"region"`},
		{"no checks of sizes that are not known", "", "pre_call_checks", ""},
		{"max_fallbacks", "router_settings: {max_fallbacks: 0}", "max_fallbacks", "0"},
		{"default_max_parallel_requests", "router_settings: {default_max_parallel_requests: 9}", "pools.0.deployments.1.max_parallel", "9"},
		{"no queue by default", "", "queue", ""},
		{"a request's priority is read", "", "client_options.#(=priority)", `"priority"`},
		{"default_priority", "router_settings: {default_priority: 3}", "priority", `"3"`},
		{"default_priority 0", "router_settings: {default_priority: 0}", "priority", `"0"`},
		{"default_priority lets requests wait", "router_settings: {default_priority: 0}", "queue", `{"size":1000,"timeout":6000000000000}`},
		{"for as long as an attempt may take", "router_settings: {default_priority: 3, timeout: 30}", "queue.timeout", "30000000000"},
		{"no affinity by default", "", "affinity", ""},
		{"sessions", "router_settings: {optional_pre_call_checks: [session_affinity]}", "affinity", `{"by":["{http.request.header.X-Litellm-Session-Id}","session"]}`},
		{"cached prompts", "router_settings: {optional_pre_call_checks: [prompt_caching], deployment_affinity_ttl_seconds: 60}", "affinity", `{"by":["prompt"],"ttl":60000000000}`},
		{"answers that are gone on with", "router_settings: {optional_pre_call_checks: [responses_api_deployment_check]}", "affinity", `{"by":["previous_response_id"]}`},
		{"all of them", "router_settings: {optional_pre_call_checks: [responses_api_deployment_check, prompt_caching, session_affinity]}", "affinity.by", `["{http.request.header.X-Litellm-Session-Id}","session","prompt"]`},
		{"a key alone is no session", "router_settings: {optional_pre_call_checks: [deployment_affinity], deployment_affinity_ttl_seconds: 60}", "affinity", ""},
		{"a null priority is none", "router_settings: {default_priority: null}", "queue", ""},
		{"a null is not set", "router_settings: {num_retries: null, fallbacks: null}\nlitellm_settings:", "retries.count", "2"},
		{"ids", "", "pools.0.deployments.#.id", `["openai-1","openai-2"]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handler, _ := router(t, twoDeployments+tc.settings+"\n")
			if got := handler.Get(tc.path).Raw; got != tc.want {
				t.Errorf("got %s %s, want %s", tc.path, got, tc.want)
			}
		})
	}
}

func TestPreCallChecks(t *testing.T) {
	const config = "model_list:\n  - model_name: x\n    litellm_params: {model: openai/x, region_name: eu}\n    model_info: {max_input_tokens: 100, base_model: y}\n"
	for _, tc := range []struct{ name, settings, path, want string }{
		{"the longest prompt", "", "pools.0.deployments.0.max_input", "100"},
		{"the region", "", "pools.0.deployments.0.region", `"eu"`},
		{"the base model", "", "pools.0.deployments.0.base_model", `"y"`},
		{"requests may ask for a region", "", "client_options.#(=region)", `"region"`},
		{"off by default", "", "pre_call_checks", `{"off":true}`},
		{"off", "router_settings: {enable_pre_call_checks: false}", "pre_call_checks", `{"off":true}`},
		{"on", "router_settings: {enable_pre_call_checks: true}", "pre_call_checks", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handler, warnings := router(t, config+tc.settings+"\n")
			if got := handler.Get(tc.path).Raw; got != tc.want {
				t.Errorf("got %s %s, want %s", tc.path, got, tc.want)
			}
			if strings.Contains(warnings, "pre_call_checks") {
				t.Errorf("got warnings %q, want none of the checks", warnings)
			}
		})
	}
}

// What LiteLLM would ask for beside the master key is named, and switched off
// it is nothing.
func TestOtherAuthentication(t *testing.T) {
	const key = "  master_key: os.environ/KEY\n"
	for settings, want := range map[string]string{
		key + "  enable_jwt_auth: true\n":  "config.yaml:5: general_settings.enable_jwt_auth: is not run here; clients are asked for the master_key alone\n",
		key + "  custom_auth: my.auth\n":   "config.yaml:5: general_settings.custom_auth: is not run here; clients are asked for the master_key alone\n",
		key + "  enable_jwt_auth: false\n": "",
		"  enable_jwt_auth: false\n":       "",
	} {
		if _, got := router(t, oneModel+"general_settings:\n"+settings); got != want {
			t.Errorf("%q: got warnings %q, want %q", settings, got, want)
		}
	}
}

// The variable that holds a key may have several names; the one that is set
// counts.
func TestKeysByAnyOfTheirNames(t *testing.T) {
	const config = "model_list:\n  - {model_name: x, litellm_params: {model: together_ai/x}}\n"
	for _, set := range []string{"TOGETHERAI_API_KEY", "TOGETHER_API_KEY"} {
		t.Run(set, func(t *testing.T) {
			t.Setenv(set, "k")
			handler, _ := router(t, config)
			if got, want := handler.Get("pools.0.deployments.0.api_key").Str, "{env."+set+"}"; got != want {
				t.Errorf("got key %q, want %q", got, want)
			}
		})
	}
}

func TestValuesOfTheEnvironmentStayThere(t *testing.T) {
	t.Setenv("OPENAI_API_KEY", "sk-very-secret")
	t.Setenv("MY_BASE", "http://secret-host/v1")
	adapted, warnings, err := adapt(t, "c.yaml", "model_list:\n  - {model_name: x, litellm_params: {model: openai/x, api_base: os.environ/MY_BASE}}\n")
	if err != nil {
		t.Fatal(err)
	}
	if text := string(adapted) + listWarnings(warnings); strings.Contains(text, "secret") {
		t.Errorf("got a value of the environment in %s", text)
	}
}
