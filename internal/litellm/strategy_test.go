package litellm_test

import (
	"strings"
	"testing"
)

func TestStrategies(t *testing.T) {
	for theirs, want := range map[string]string{
		"simple-shuffle": "", "least-busy": `{"name":"least_busy"}`, "cost-based-routing": `{"name":"cost"}`,
		"usage-based-routing": `{"name":"usage"}`, "usage-based-routing-v2": `{"name":"usage"}`,
		"latency-based-routing": `{"name":"latency","buffer":0}`, // which is LiteLLM's default
	} {
		t.Run(theirs, func(t *testing.T) {
			handler, _ := router(t, oneModel+"router_settings: {routing_strategy: "+theirs+"}\n")
			if got := handler.Get("strategy").Raw; got != want {
				t.Errorf("got strategy %s, want %s", got, want)
			}
		})
	}
}

func TestStrategyOptions(t *testing.T) {
	for _, tc := range []struct{ name, strategy, args, want, warned string }{
		{"a buffer", "latency-based-routing", "lowest_latency_buffer: 0.25", `{"name":"latency","buffer":25}`, ""},
		{"a large buffer", "latency-based-routing", "lowest_latency_buffer: 3", `{"name":"latency","buffer":100}`, "lowest_latency_buffer: is taken for 1, the most there is"},
		{"how long measurements last", "latency-based-routing", "ttl: 60", `{"name":"latency","buffer":0}`, "ttl: is not used: old measurements fade here"},
		{"how many there are", "latency-based-routing", "max_latency_list_size: 5", `{"name":"latency","buffer":0}`, "max_latency_list_size: is not used: old measurements fade here"},
		{"how long usage lasts", "usage-based-routing-v2", "ttl: 60", `{"name":"usage"}`, "ttl: is not used: what was used counts for 60 seconds"},
		{"another strategy's", "least-busy", "lowest_latency_buffer: 0.25", `{"name":"least_busy"}`, "lowest_latency_buffer: has no effect with the strategy least-busy"},
		{"nobody's", "latency-based-routing", "unheard_of: 1", `{"name":"latency","buffer":0}`, "unheard_of: is not a key that is known here"},
		{"none", "latency-based-routing", "lowest_latency_buffer: null", `{"name":"latency","buffer":0}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			handler, warnings := router(t, oneModel+"router_settings: {routing_strategy: "+tc.strategy+", routing_strategy_args: {"+tc.args+"}}\n")
			if got := handler.Get("strategy").Raw; got != tc.want {
				t.Errorf("got strategy %s, want %s", got, tc.want)
			}
			if tc.warned == "" && warnings != "" || !strings.Contains(warnings, tc.warned) {
				t.Errorf("got warnings %q, want %q", warnings, tc.warned)
			}
		})
	}
}

func TestPrices(t *testing.T) {
	const input, output = "input_cost_per_token", "output_cost_per_token"
	for _, tc := range []struct{ name, params, info, settings, want, warned string }{
		{"none", "", "", "", "", ""},
		{"of a token", input + ": 0.0000025, " + output + ": 0.00001", "", "", `{"input":2.5,"output":10}`, ""},
		{"with many digits", input + ": 1.23456789e-7, " + output + ": 3e-15", "", "", `{"input":0.123456789,"output":3e-9}`, ""},
		{"of nothing", input + ": 0, " + output + ": 0.0", "", "", `{"input":0,"output":0}`, ""},
		{"of the model", "", input + ": 1e-6, " + output + ": 2e-6", "", `{"input":1,"output":2}`, ""},
		{"of both", input + ": 5e-6", input + ": 1e-6, " + output + ": 2e-6", "", `{"input":5,"output":2}`, ""},
		{"of prompts alone", input + ": 1e-6", "", "", `{"input":1,"output":0}`, "litellm_params." + input + ": output_cost_per_token is missing, and counts as 0"},
		{"of answers alone", "", output + ": 1e-6", "", `{"input":0,"output":1}`, "model_info." + output + ": input_cost_per_token is missing, and counts as 0"},
		{"that nulls leave out", input + ": null, " + output + ": null", "", "", "", ""},
		{"that the strategy needs", "", "", "router_settings: {routing_strategy: cost-based-routing}", "", "model_list[0].litellm_params: input_cost_per_token and output_cost_per_token are missing"},
		{"of what was cached", input + ": 1e-6, " + output + ": 2e-6, cache_read_input_token_cost: 1e-7", "", "", `{"input":1,"output":2,"cached":0.1}`, ""},
		{"of nothing but what was cached", "cache_read_input_token_cost: 1e-7", "", "", "", "cache_read_input_token_cost: is not used"},
		{"of a second", "input_cost_per_second: 1", "", "", "", "input_cost_per_second: is not used: a price is that of a token"},
		{"of another list", "", "base_model: azure/gpt-4o", "", "", "base_model: is kept, but LiteLLM's list of prices is not known here"},
		{"that add up", "max_budget: 1", "", "", "", "max_budget: is not used: there are no budgets here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := "model_list:\n  - {model_name: m, litellm_params: {model: openai/m, " + tc.params + "}, model_info: {" + tc.info + "}}\n"
			handler, warnings := router(t, config+tc.settings+"\n")
			if got := handler.Get("pools.0.deployments.0.cost").Raw; got != tc.want {
				t.Errorf("got cost %s, want %s", got, tc.want)
			}
			if tc.warned == "" && warnings != "" || !strings.Contains(warnings, tc.warned) {
				t.Errorf("got warnings %q, want %q", warnings, tc.warned)
			}
		})
	}
}
