package litellm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	llmrouter "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

func TestRedis(t *testing.T) {
	for _, tc := range []struct{ name, settings, want, warned string }{
		{"none", "num_retries: 1", "", ""},
		{"host and port", "redis_host: r, redis_port: 6380", `{"urls":["redis://r:6380"]}`, ""},
		{"a port as a text", `redis_host: r, redis_port: "6380"`, `{"urls":["redis://r:6380"]}`, ""},
		{"an IPv6 address", `redis_host: "::1", redis_port: 6380`, `{"urls":["redis://[::1]:6380"]}`, ""},
		{"no port", "redis_host: r", `{"urls":["redis://r"]}`, "redis_host: redis_port is missing"},
		{"an IPv6 address without a port", `redis_host: "::1"`, `{"urls":["redis://[::1]"]}`, "redis_host: redis_port is missing"},
		{"a database", "redis_host: r, redis_port: 1, redis_db: 4", `{"urls":["redis://r:1/4"]}`, ""},
		{"TLS", "redis_host: r, redis_port: 1, redis_ssl: True", `{"urls":["rediss://r:1"]}`, ""},
		{"no TLS", "redis_host: r, redis_port: 1, redis_ssl: false", `{"urls":["redis://r:1"]}`, ""},
		{"a password", "redis_host: r, redis_port: 1, redis_password: 'p@{s}'", `{"urls":["redis://r:1"],"password":"p@\\{s\\}"}`, "redis_password: the password stands in the adapted config"},
		{"an empty password", "redis_host: r, redis_port: 1, redis_password: ''", `{"urls":["redis://r:1"]}`, ""},
		{"a user", "redis_host: r, redis_port: 1, redis_username: u, redis_password: os.environ/P", `{"urls":["redis://r:1"],"username":"u","password":"{env.P}"}`, ""},
		{"a variable for all", "redis_host: os.environ/H, redis_port: os.environ/P, redis_db: os.environ/D", `{"urls":["redis://{env.H}:{env.P}/{env.D}"]}`, ""},
		{"a URL", "redis_url: 'rediss://r:1/2'", `{"urls":["rediss://r:1/2"]}`, ""},
		{"a URL with a password", "redis_url: 'redis://:hunter2@r'", `{"urls":["redis://:hunter2@r"]}`, "redis_url: the password stands in the adapted config"},
		{"a URL of the environment", "redis_url: os.environ/REDIS_URL", `{"urls":["{env.REDIS_URL}"]}`, ""},
		{"a URL beside a host", "redis_url: 'redis://r', redis_host: other", `{"urls":["redis://r"]}`, "redis_host: has no effect beside redis_url"},
		{"a URL beside a password", "redis_url: 'redis://r', redis_password: hunter2", `{"urls":["redis://r"]}`, "redis_password: has no effect beside redis_url"},
		{"a Cluster with one address", "redis_startup_nodes: [{host: r, port: 1}]", `{"urls":["redis://r:1","redis://r:1"]}`, ""},
		{"a Cluster beside a host", "redis_startup_nodes: [{host: a}, {host: b}], redis_host: a", `{"urls":["redis://a","redis://b"]}`, "redis_host: has no effect beside redis_startup_nodes"},
		{"a Cluster with a database", "redis_startup_nodes: [{host: a}, {host: b}], redis_db: 0", `{"urls":["redis://a","redis://b"]}`, "redis_db: has no effect beside redis_startup_nodes"},
		{"Sentinels", "redis_sentinel_nodes: [[a, 1], [b, 2]], redis_service_name: m, redis_ssl: true", `{"urls":["rediss://a:1","rediss://b:2"],"sentinel":{"master":"m"}}`, ""},
		{"a master without Sentinels", "redis_host: r, redis_port: 1, redis_service_name: m", `{"urls":["redis://r:1"]}`, "redis_service_name: has no effect beside redis_host"},
		{"a port alone", "redis_port: 1", "", "redis_port: has no effect without redis_host or redis_url"},
		{"more in cache_kwargs", "redis_host: r, redis_port: 1, cache_kwargs: {ssl: true, db: 3}", `{"urls":["rediss://r:1/3"]}`, ""},
		{"another host in cache_kwargs", "redis_host: r, redis_port: 1, cache_kwargs: {host: q}", `{"urls":["redis://q:1"]}`, "redis_host: is not used, because cache_kwargs.host is set"},
		{"nothing in cache_kwargs", "cache_kwargs: {}", "", ""},
		{"what is not of the connection", "cache_kwargs: {ttl: 1}", "", "cache_kwargs.ttl: is not used: answers are kept by litellm_settings.cache, with its cache_params"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			adapted, list, err := adapt(t, "config.yaml", oneModel+"router_settings: {"+tc.settings+"}\n")
			if err != nil {
				t.Fatal(err)
			}
			if got := gjson.GetBytes(adapted, "apps.llm_router.redis").Raw; got != tc.want {
				t.Errorf("got redis %s, want %s", got, tc.want)
			}
			warnings := listWarnings(list)
			if tc.warned == "" && warnings != "" || !strings.Contains(warnings, tc.warned) {
				t.Errorf("got warnings %q, want %q", warnings, tc.warned)
			}
			if strings.Contains(warnings, "hunter2") {
				t.Errorf("got the password in %q", warnings)
			}
		})
	}
}

// What the config leaves open, LiteLLM takes from variables that are set.
func TestRedisOfTheEnvironment(t *testing.T) {
	const settings = "router_settings: {redis_host: r, redis_port: 1}\n"
	for _, tc := range []struct {
		name     string
		set      map[string]string
		settings string
		want     string
	}{
		{"a password", map[string]string{"REDIS_PASSWORD": "hunter2"}, settings, `{"urls":["redis://r:1"],"password":"{env.REDIS_PASSWORD}"}`},
		{"a user", map[string]string{"REDIS_PASSWORD": "hunter2", "REDIS_USERNAME": "u"}, settings, `{"urls":["redis://r:1"],"username":"{env.REDIS_USERNAME}","password":"{env.REDIS_PASSWORD}"}`},
		{"a user alone", map[string]string{"REDIS_USERNAME": "u"}, settings, `{"urls":["redis://r:1"]}`},
		{"TLS", map[string]string{"REDIS_SSL": "True"}, settings, `{"urls":["rediss://r:1"]}`},
		{"no TLS", map[string]string{"REDIS_SSL": "False"}, settings, `{"urls":["redis://r:1"]}`},
		{"TLS in the config", nil, "environment_variables: {REDIS_SSL: 'true'}\n" + settings, `{"urls":["rediss://r:1"]}`},
		{"not beside a URL", map[string]string{"REDIS_PASSWORD": "hunter2", "REDIS_SSL": "true"}, "router_settings: {redis_url: 'redis://r'}\n", `{"urls":["redis://r"]}`},
		{"no Redis by itself", map[string]string{"REDIS_PASSWORD": "hunter2", "REDIS_HOST": "r"}, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, text := range tc.set {
				t.Setenv(name, text)
			}
			adapted, warnings, err := adapt(t, "config.yaml", oneModel+tc.settings)
			if err != nil || len(warnings) > 0 {
				t.Fatalf("got error %v and warnings %v, want none", err, warnings)
			}
			if got := gjson.GetBytes(adapted, "apps.llm_router.redis").Raw; got != tc.want {
				t.Errorf("got redis %s, want %s", got, tc.want)
			}
		})
	}
}

// A password arrives as it is in its variable, with what would mean something in
// a URL.
func TestAdaptedConfigsReachRedis(t *testing.T) {
	const password = "p@ss/w:rd?#%zz"
	server := redistest.Start(t, "--requirepass", password)
	t.Setenv("MY_PASSWORD", password)
	t.Setenv("MY_PORT", fmt.Sprint(server.Port))
	adapted, _, err := adapt(t, "config.yaml", oneModel+"router_settings: {redis_host: 127.0.0.1, redis_port: os.environ/MY_PORT, redis_password: os.environ/MY_PASSWORD}\n")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("OPENAI_API_KEY", "sk-test")
	caddyharness.Load(t, string(adapted))
	app, err := caddy.ActiveContext().AppIfConfigured("llm_router")
	if err != nil {
		t.Fatal(err)
	}
	redistest.WaitFor(t, "Redis to be up", app.(*llmrouter.App).Store().Up)
}
