package litellm_test

import (
	"strings"
	"testing"
)

const oneModel = "model_list:\n  - {model_name: gpt, litellm_params: {model: openai/gpt-4o}}\n"

func TestErrorsNameTheirPlace(t *testing.T) {
	params := func(s string) string {
		return "model_list:\n  - model_name: gpt\n    litellm_params:\n      " + strings.ReplaceAll(s, "\n", "\n      ") + "\n"
	}
	for _, tc := range []struct{ name, config, want string }{
		{"empty", "", "config.yaml: the config is empty; expected a model_list"},
		{"only a comment", "# nothing\n", "config.yaml: the config is empty; expected a model_list"},
		{"not YAML", "model_list:\n  - a: [\n", "config.yaml:2: not YAML that can be read: did not find"},
		{"a tab", "a: 1\nmodel_list:\n\t- a\n", "config.yaml:3: not YAML that can be read: "},
		{"a list", "- a\n", "config.yaml:1: expected a mapping with a model_list, got a list"},
		{"a text", "hello\n", "config.yaml:1: expected a mapping with a model_list, got a text"},
		{"a key twice", "model_list: []\nmodel_list: []\n", `config.yaml:2: not YAML that can be read: mapping key "model_list" already defined at line 1`},
		{"two documents", oneModel + "---\na: 1\n", "config.yaml:3: not YAML that can be read: a second document; expected one"},
		{"an alias in itself", "model_list: &a [*a]\n", "config.yaml: not YAML: yaml: anchor 'a' value contains itself"},
		{"no models", "router_settings: {}\n", "config.yaml:1: model_list: is missing; expected a list of models"},
		{"empty model_list", "model_list: []\n", "config.yaml:1: model_list: there is no model to serve"},
		{"model_list is a mapping", "model_list: {a: b}\n", "config.yaml:1: model_list: expected a list, got a mapping"},
		{"an include", "include: [more.yaml]\n" + oneModel, "config.yaml:1: include: other files are not read"},
		{"no model_name", "model_list:\n  - {litellm_params: {model: openai/x}}\n", "config.yaml:2: model_list[0]: model_name is missing"},
		{"no model", "model_list:\n  - {model_name: x}\n", "config.yaml:2: model_list[0]: litellm_params.model is missing"},
		{"an entry is a text", "model_list:\n  - gpt-4o\n", "config.yaml:2: model_list[0]: expected a mapping, got a text"},
		{"two stars", "model_list:\n  - {model_name: 'a/*/*', litellm_params: {model: openai/x}}\n", `config.yaml:2: model_list[0].model_name: "a/*/*" has more than one *`},
		{"weight", params("model: openai/x\nweight: heavy"), "config.yaml:5: model_list[0].litellm_params.weight: expected a number, got a text"},
		{"weight below zero", params("model: openai/x\nweight: -1"), "config.yaml:5: model_list[0].litellm_params.weight: expected a number from 0 to"},
		{"weight is not a number", params("model: openai/x\nweight: .nan"), "config.yaml:5: model_list[0].litellm_params.weight: expected a number, got a number"},
		{"weight from the environment", params("model: openai/x\nweight: os.environ/W"), "config.yaml:5: model_list[0].litellm_params.weight: expected a number; a number cannot come from the environment here"},
		{"a priority out of range", oneModel + "router_settings: {default_priority: 1000001}\n", "config.yaml:3: router_settings.default_priority: expected a whole number from 0 to 1000000"},
		{"a priority that is a text", oneModel + "router_settings: {default_priority: high}\n", "config.yaml:3: router_settings.default_priority: expected a number, got a text"},
		{"rpm with a fraction", params("model: openai/x\nrpm: 1.5"), "config.yaml:5: model_list[0].litellm_params.rpm: expected a whole number"},
		{"rpm is a list", params("model: openai/x\nrpm: [1]"), "config.yaml:5: model_list[0].litellm_params.rpm: expected a number, got a list"},
		{"timeout too long", params("model: openai/x\ntimeout: 1e10"), "config.yaml:5: model_list[0].litellm_params.timeout: expected at most 1000000000 seconds"},
		{"bedrock", params("model: bedrock/anthropic.claude-3"), "config.yaml:4: model_list[0].litellm_params.model: the provider bedrock does not speak OpenAI's wire format"},
		{"vertex by its model's name", params("model: gemini-2.5-pro"), "config.yaml:4: model_list[0].litellm_params.model: the provider vertex_ai does not speak"},
		{"custom_llm_provider", params("model: x\ncustom_llm_provider: sagemaker"), "the provider sagemaker does not speak OpenAI's wire format"},
		{"unknown provider", params("model: acme/x"), `config.yaml:4: model_list[0].litellm_params.model: "acme/x" has no provider that is known here`},
		{"no provider", params("model: x"), `config.yaml:4: model_list[0].litellm_params.model: "x" has no provider that is known here; write <provider>/<model>`},
		{"any provider", "model_list:\n  - {model_name: '*', litellm_params: {model: '*'}}\n", `config.yaml:2: model_list[0].litellm_params.model: "*" leaves the provider to the client`},
		{"a star without one", params("model: openai/*"), "config.yaml:4: model_list[0].litellm_params.model: has a *, which takes"},
		{"a star in an Azure address", "model_list:\n  - {model_name: 'azure/*', litellm_params: {model: 'azure/*', api_base: 'https://x.openai.azure.com'}}\n", "config.yaml:2: model_list[0].litellm_params.model: the address of an Azure deployment has its name in it"},
		{"no address", params("model: custom_openai/x"), "config.yaml:4: model_list[0].litellm_params.model: the provider custom_openai has no address of its own; api_base is missing"},
		{"api_base without a scheme", params("model: openai/x\napi_base: localhost:8000"), "config.yaml:5: model_list[0].litellm_params.api_base: expected an address such as"},
		{"api_base with a password", params("model: openai/x\napi_base: http://me:pass@h/v1"), "config.yaml:5: model_list[0].litellm_params.api_base: carries a user or password"},
		{"api_base with a fragment", params("model: openai/x\napi_base: http://h/v1#a"), "config.yaml:5: model_list[0].litellm_params.api_base: has a fragment"},
		{"api_base that is no URL", params("model: openai/x\napi_base: 'http://h:port/v1'"), "config.yaml:5: model_list[0].litellm_params.api_base: is not an address"},
		{"api_base with a brace in its host", params("model: azure/x\napi_base: 'http://a{b}/v1'"), "config.yaml:5: model_list[0].litellm_params.api_base: is not an address"},
		{"a variable without a name", params("model: openai/x\napi_key: os.environ/"), "config.yaml:5: model_list[0].litellm_params.api_key: expected the name of a variable after os.environ/"},
		{"an Azure identity", params("model: azure/x\napi_base: https://a\nclient_secret: s"), "config.yaml:6: model_list[0].litellm_params.client_secret: signing in to Azure is not available"},
		{"no such credential", params("model: openai/x\nlitellm_credential_name: mine"), `config.yaml:5: model_list[0].litellm_params.litellm_credential_name: there is no credential "mine"`},
		{"a header's name", params("model: openai/x\nextra_headers: {'a b': c}"), "config.yaml:5: model_list[0].litellm_params.extra_headers.a b: is not the name of a header"},
		{"a header's value", params("model: openai/x\nextra_headers: {a: \"b\\nc\"}"), "config.yaml:5: model_list[0].litellm_params.extra_headers.a: is not a value"},
		{"duplicate ids", "model_list:\n  - {model_name: a, litellm_params: {model: openai/x}, model_info: {id: one}}\n  - {model_name: b, litellm_params: {model: openai/x}, model_info: {id: one}}\n", `config.yaml:3: model_list[1].model_info.id: "one" is the id of another deployment already, on line 2`},
		{"fallback to an unknown group", oneModel + "router_settings:\n  fallbacks: [{gpt: [nobody]}]\n", `config.yaml:4: router_settings.fallbacks[0].gpt[0]: there is no model group "nobody" to fall back to`},
		{"default fallback to an unknown group", oneModel + "litellm_settings:\n  default_fallbacks: [nobody]\n", `config.yaml:4: litellm_settings.default_fallbacks[0]: there is no model group "nobody"`},
		{"fallback of two groups", oneModel + "router_settings:\n  fallbacks:\n    - {gpt: [a], b: [c]}\n", "config.yaml:5: router_settings.fallbacks[0]: expected a mapping with exactly one key, the model group, got 2 keys"},
		{"fallback to nothing", oneModel + "router_settings:\n  fallbacks: [{gpt: }]\n", `config.yaml:4: router_settings.fallbacks[0]: expected a list of model groups for "gpt", got nothing`},
		{"fallback to an object without a model", oneModel + "router_settings:\n  fallbacks: [{gpt: [{messages: []}]}]\n", "config.yaml:4: router_settings.fallbacks[0].gpt[0]: expected the name of a model group, got a mapping"},
		{"fallbacks is a mapping", oneModel + "router_settings:\n  fallbacks: {gpt: [a]}\n", "config.yaml:4: router_settings.fallbacks: expected a list, got a mapping"},
		{"alias of an unknown group", oneModel + "router_settings:\n  model_group_alias: {a: nobody}\n", `config.yaml:4: router_settings.model_group_alias.a: there is no model group "nobody"`},
		{"alias of a list", oneModel + "router_settings:\n  model_group_alias: {a: [gpt]}\n", "config.yaml:4: router_settings.model_group_alias.a: expected a mapping, got a list"},
		{"unknown strategy", oneModel + "router_settings:\n  routing_strategy: clever\n", `config.yaml:4: router_settings.routing_strategy: "clever" is not a strategy; expected one of cost-based-routing, `},
		{"a price below zero", params("model: openai/x\ninput_cost_per_token: -1e-6"), "config.yaml:5: model_list[0].litellm_params.input_cost_per_token: expected a number from 0 to"},
		{"a price that is a text", params("model: openai/x\noutput_cost_per_token: cheap"), "config.yaml:5: model_list[0].litellm_params.output_cost_per_token: expected a number, got a text"},
		{"a price that nobody asks for", params("model: openai/x\ninput_cost_per_token: 2.5e6"), "config.yaml:5: model_list[0].litellm_params.input_cost_per_token: expected the price of one token in US$, at most 1000000"},
		{"a price of the model", "model_list:\n  - model_name: gpt\n    litellm_params: {model: openai/x}\n    model_info:\n      input_cost_per_token: []\n", "config.yaml:5: model_list[0].model_info.input_cost_per_token: expected a number, got a list"},
		{"a buffer that is a text", oneModel + "router_settings: {routing_strategy: latency-based-routing, routing_strategy_args: {lowest_latency_buffer: some}}\n", "config.yaml:3: router_settings.routing_strategy_args.lowest_latency_buffer: expected a number, got a text"},
		{"redis_url without a scheme", oneModel + "router_settings: {redis_url: 'localhost:6379'}\n", "config.yaml:3: router_settings.redis_url: URL 1: the scheme must be redis:// or rediss://"},
		{"redis_host that is a URL", oneModel + "router_settings: {redis_host: 'redis://r', redis_port: 1}\n", "config.yaml:3: router_settings.redis_host: expected the name or the IP address of a host"},
		{"redis_host that is a list", oneModel + "router_settings: {redis_host: [r], redis_port: 1}\n", "config.yaml:3: router_settings.redis_host: expected a text, got a list"},
		{"redis_port out of range", oneModel + "router_settings: {redis_host: r, redis_port: 65536}\n", "config.yaml:3: router_settings.redis_port: expected a whole number from 1 to 65535"},
		{"redis_db that is a name", oneModel + "router_settings: {redis_host: r, redis_port: 1, redis_db: mine}\n", "config.yaml:3: router_settings.redis_db: expected a number, got a text"},
		{"redis_ssl of the environment", oneModel + "router_settings: {redis_host: r, redis_port: 1, redis_ssl: os.environ/REDIS_SSL}\n", "config.yaml:3: router_settings.redis_ssl: expected true or false; a switch cannot come from the environment here"},
		{"REDIS_SSL", oneModel + "environment_variables: {REDIS_SSL: perhaps}\nrouter_settings: {redis_host: r, redis_port: 1}\n", "config.yaml:3: environment_variables.REDIS_SSL: expected true or false, got a text"},
		{"a user without a password", oneModel + "router_settings: {redis_host: r, redis_port: 1, redis_username: u}\n", "config.yaml:3: router_settings.redis_username: redis_password is missing; a user needs one"},
		{"a Cluster without nodes", oneModel + "router_settings: {redis_startup_nodes: []}\n", "config.yaml:3: router_settings.redis_startup_nodes: expected at least one node"},
		{"a node without a host", oneModel + "router_settings: {redis_startup_nodes: [{port: 1}]}\n", "config.yaml:3: router_settings.redis_startup_nodes[0]: host is missing"},
		{"no Sentinels", oneModel + "router_settings: {redis_sentinel_nodes: [], redis_service_name: m}\n", "config.yaml:3: router_settings.redis_sentinel_nodes: expected at least one Sentinel"},
		{"a Sentinel without a port", oneModel + "router_settings: {redis_sentinel_nodes: [[h]], redis_service_name: m}\n", "config.yaml:3: router_settings.redis_sentinel_nodes[0]: expected a host and a port"},
		{"Sentinels without a master", oneModel + "router_settings: {redis_sentinel_nodes: [[h, 1]]}\n", "config.yaml:3: router_settings.redis_sentinel_nodes: redis_service_name is missing"},
		{"a switch", oneModel + "router_settings:\n  disable_cooldowns: perhaps\n", "config.yaml:4: router_settings.disable_cooldowns: expected true or false, got a text"},
		{"settings are a list", oneModel + "router_settings: []\n", "config.yaml:3: router_settings: expected a mapping, got a list"},
		{"custom_auth alone", oneModel + "general_settings:\n  custom_auth: my.auth\n", "config.yaml:4: general_settings.custom_auth: cannot be run here, and without it everybody could call"},
		{"an empty key", oneModel + "environment_variables: {K: ''}\ngeneral_settings:\n  master_key: os.environ/K\n", "config.yaml:5: general_settings.master_key: the variable is empty"},
		{"an empty key of LiteLLM's own", oneModel + "environment_variables:\n  LITELLM_MASTER_KEY: ''\n", "config.yaml:4: environment_variables.LITELLM_MASTER_KEY: is empty"},
		{"JWTs alone", oneModel + "general_settings:\n  enable_jwt_auth: true\n", "config.yaml:4: general_settings.enable_jwt_auth: cannot be run here"},
		{"no header", oneModel + "general_settings:\n  litellm_key_header_name: x y\n", "config.yaml:4: general_settings.litellm_key_header_name: is not the name of a header"},
		{"no IP address", oneModel + "general_settings:\n  allowed_ips: [localhost]\n", `config.yaml:4: general_settings.allowed_ips[0]: expected an IP address, got "localhost"`},
		{"PORT", oneModel + "environment_variables:\n  PORT: http\n", "config.yaml:4: environment_variables.PORT: expected a port from 1 to 65535"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			adapted, _, err := adapt(t, "config.yaml", tc.config)
			if err == nil {
				t.Fatalf("got %s and no error, want %q", adapted, tc.want)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %q, want %q in it", err, tc.want)
			}
			if adapted != nil {
				t.Errorf("got %s beside an error, want nothing", adapted)
			}
		})
	}
}

func TestAllErrorsComeAtOnce(t *testing.T) {
	_, _, err := adapt(t, "c.yaml", "model_list:\n  - {model_name: a, litellm_params: {model: bedrock/x}}\n  - {model_name: b, litellm_params: {model: openai/x, rpm: many}}\n")
	if err == nil || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("got error %v, want two lines", err)
	}
}

// Aliases that multiply are refused by their number, before anything walks
// through what they stand for.
func TestYAMLBombIsRefused(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 {x: y}\n")
	for i := 1; i < 30; i++ {
		name, before := string(rune('a'+i%26))+strings.Repeat("z", i/26), string(rune('a'+(i-1)%26))+strings.Repeat("z", (i-1)/26)
		if i == 1 {
			before = "a0"
		}
		bomb.WriteString(name + ": &" + name + " [" + strings.Repeat("*"+before+", ", 9) + "]\n")
	}
	bomb.WriteString(oneModel)
	_, _, err := adapt(t, "c.yaml", bomb.String())
	if err == nil || !strings.Contains(err.Error(), "excessive aliasing") {
		t.Errorf("got error %v, want one about aliases", err)
	}
}

func TestPortOfTheEnvironment(t *testing.T) {
	for port, want := range map[string]string{"": `[":4000"]`, "8123": `[":8123"]`} {
		t.Setenv("PORT", port)
		adapted, _, err := adaptWithPort(oneModel)
		if err != nil || !strings.Contains(string(adapted), `"listen":`+want) {
			t.Errorf("PORT %q: got %s, %v; want listen %s", port, adapted, err, want)
		}
	}
	t.Setenv("PORT", "70000")
	if _, _, err := adaptWithPort(oneModel); err == nil || !strings.Contains(err.Error(), "the environment variable PORT: expected a port") {
		t.Errorf("got error %v, want one about PORT", err)
	}
}
