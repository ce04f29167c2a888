package litellm_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// serve runs an adapted config.
func serve(t *testing.T, config string) *caddyharness.Server {
	t.Helper()
	adapted, _, err := adapt(t, "config.yaml", config)
	if err != nil {
		t.Fatal(err)
	}
	return caddyharness.Load(t, string(adapted))
}

// ask sends a chat request for a model and gives the status and the body.
func ask(t *testing.T, s *caddyharness.Server, path, model string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL(path), strings.NewReader(`{"model":"`+model+`","messages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	return do(t, s, req)
}

func get(t *testing.T, s *caddyharness.Server, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, s, req)
}

func do(t *testing.T, s *caddyharness.Server, req *http.Request) (int, string) {
	t.Helper()
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// upstream is a model server that answers with what it was asked.
func upstream(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{ //nolint:errcheck // the test sees it
			"path": r.URL.RequestURI(), "header": r.Header, "model": gjson.GetBytes(body, "model").Str,
			"choices": []any{map[string]any{"message": map[string]any{"content": "x"}, "finish_reason": "stop"}},
		})
	}))
	t.Cleanup(server.Close)
	return server
}

func TestRequestsArriveWhereLiteLLMSendsThem(t *testing.T) {
	server := upstream(t)
	t.Setenv("TEST_BASE", server.URL+"/")
	config := strings.ReplaceAll(`
model_list:
  - {model_name: v1, litellm_params: {model: openai/up, api_base: SERVER/v1, api_key: sk-up}}
  - {model_name: bare, litellm_params: {model: openai/up, api_base: SERVER, api_key: ""}}
  - {model_name: azure, litellm_params: {model: azure/my dep, api_base: SERVER, api_key: az, api_version: 2024-10-21}}
  - {model_name: slash, litellm_params: {model: azure/dep, api_base: os.environ/TEST_BASE, api_key: az}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-x, api_base: SERVER, api_key: an}}
  - {model_name: "any/*", litellm_params: {model: openai/*, api_base: SERVER/v1, api_key: "k{env.HOME}"}}
  - {model_name: org, litellm_params: {model: openai/up, api_base: SERVER/v1, api_key: k, organization: o1, extra_headers: {X-A: "{b}"}}}
router_settings: {model_group_alias: {short: any/long}}
`, "SERVER", server.URL)
	s := serve(t, config)
	for _, tc := range []struct{ path, model, wantPath, wantModel, header, want string }{
		{"/v1/chat/completions", "v1", "/v1/chat/completions", "up", "Authorization", "Bearer sk-up"},
		{"/chat/completions", "v1", "/v1/chat/completions", "up", "Authorization", "Bearer sk-up"},
		{"/openai/deployments/v1/chat/completions", "v1", "/v1/chat/completions", "up", "Authorization", "Bearer sk-up"},
		{"/openai/deployments/a/b/embeddings", "v1", "/v1/embeddings", "up", "Authorization", "Bearer sk-up"},
		{"/engines/v1/completions", "v1", "/v1/completions", "up", "Authorization", "Bearer sk-up"},
		{"/v1/chat/completions", "bare", "/chat/completions", "up", "Authorization", ""},
		{"/v1/chat/completions", "azure", "/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21", "my dep", "Api-Key", "az"},
		{"/v1/chat/completions", "azure", "/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21", "my dep", "Authorization", ""},
		{"/v1/chat/completions", "slash", "/openai/deployments/dep/chat/completions?api-version=2025-02-01-preview", "dep", "Api-Key", "az"},
		{"/v1/messages", "claude", "/v1/messages", "claude-x", "X-Api-Key", "an"},
		{"/v1/chat/completions", "claude", "/v1/chat/completions", "claude-x", "Anthropic-Version", "2023-06-01"},
		{"/v1/embeddings", "any/emb", "/v1/embeddings", "emb", "Authorization", "Bearer k{env.HOME}"},
		{"/v1/chat/completions", "short", "/v1/chat/completions", "long", "Authorization", "Bearer k{env.HOME}"},
		{"/v1/chat/completions", "org", "/v1/chat/completions", "up", "Openai-Organization", "o1"},
		{"/v1/chat/completions", "org", "/v1/chat/completions", "up", "X-A", "{b}"},
	} {
		t.Run(tc.model+tc.path+" "+tc.header, func(t *testing.T) {
			status, body := ask(t, s, tc.path, tc.model, http.Header{"Authorization": {"Bearer client"}, "Api-Key": {"client"}})
			got := gjson.Parse(body)
			if status != 200 || got.Get("path").Str != tc.wantPath || got.Get("model").Str != tc.wantModel {
				t.Errorf("got %d %s, want path %s and model %s", status, body, tc.wantPath, tc.wantModel)
			}
			if value := got.Get("header").Get(tc.header + ".0").Str; value != tc.want {
				t.Errorf("got %s %q, want %q", tc.header, value, tc.want)
			}
		})
	}
}

const helloModel = "model_list:\n  - {model_name: hello, litellm_params: {model: openai/x, mock_response: Hi}}\n"

func TestMasterKeyIsDemanded(t *testing.T) {
	const odd = `sk-"1{env.HOME}2\*`
	for _, tc := range []struct{ name, config, variable, key string }{
		{"from the environment", "general_settings: {master_key: os.environ/TEST_KEY}\n", "TEST_KEY", "sk-env"},
		{"a literal", "general_settings: {master_key: '" + odd + "'}\n", "", odd},
		{"LiteLLM's own variable", "", "LITELLM_MASTER_KEY", "sk-own"},
		{"environment_variables", "environment_variables: {LITELLM_MASTER_KEY: '" + odd + "'}\n", "", odd},
		{"environment_variables by name", "environment_variables: {K: '" + odd + "'}\ngeneral_settings: {master_key: os.environ/K}\n", "", odd},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.variable != "" {
				t.Setenv(tc.variable, tc.key)
			}
			s := serve(t, helloModel+tc.config)
			for _, c := range []struct {
				header http.Header
				want   int
			}{
				{nil, 401},
				{http.Header{"Authorization": {"Bearer wrong"}}, 401},
				{http.Header{"Authorization": {"Bearer "}}, 401},
				{http.Header{"Authorization": {tc.key}}, 401},
				{http.Header{"Authorization": {"Bearer " + tc.key + "x"}}, 401},
				{http.Header{"Authorization": {"Bearer wrong", "Bearer " + tc.key}}, 401},
				{http.Header{"Authorization": {"Bearer " + tc.key}}, 200},
				{http.Header{"X-Api-Key": {tc.key}}, 200},
				{http.Header{"X-Api-Key": {""}}, 401},
				{http.Header{"Api-Key": {tc.key}}, 200},
			} {
				status, body := ask(t, s, "/v1/chat/completions", "hello", c.header)
				if status != c.want {
					t.Errorf("%v: got status %d, want %d", c.header, status, c.want)
				}
				if status == 401 && gjson.Get(body, "error.code").Str != "invalid_api_key" {
					t.Errorf("got body %s, want an error in OpenAI's format", body)
				}
			}
			if status, _ := get(t, s, "/models"); status != 401 {
				t.Errorf("got status %d for the models without a key, want 401", status)
			}
			if status, _ := get(t, s, "/health/liveliness"); status != 200 {
				t.Errorf("got status %d for the probe, want 200", status)
			}
		})
	}
}

// A variable that is not set must not leave the door open.
func TestUnsetMasterKeyLetsNobodyIn(t *testing.T) {
	for _, config := range []string{
		"general_settings: {master_key: os.environ/TEST_KEY_NOT_SET}\n",
		"environment_variables: {LITELLM_MASTER_KEY: os.environ/TEST_KEY_NOT_SET}\n",
	} {
		t.Run(config, func(t *testing.T) {
			s := serve(t, helloModel+config)
			for _, header := range []http.Header{nil, {"Authorization": {"Bearer "}}, {"X-Api-Key": {""}}, {"Authorization": {"Bearer"}}} {
				if status, _ := ask(t, s, "/v1/chat/completions", "hello", header); status != 401 {
					t.Errorf("%v: got status %d, want 401", header, status)
				}
			}
		})
	}
}

func TestWithoutMasterKeyEverybodyMayCall(t *testing.T) {
	t.Setenv("LITELLM_MASTER_KEY", "")
	s := serve(t, helloModel)
	for _, path := range []string{"/v1/chat/completions", "/chat/completions"} {
		status, body := ask(t, s, path, "hello", nil)
		if got := gjson.Get(body, "choices.0.message.content").Str; status != 200 || got != "Hi" {
			t.Errorf("%s: got %d %s, want Hi", path, status, body)
		}
	}
	for _, path := range []string{"/v1/models", "/models", "/models/hello"} {
		if status, body := get(t, s, path); status != 200 || !strings.Contains(body, `"hello"`) {
			t.Errorf("%s: got %d %s, want the model", path, status, body)
		}
	}
	if status, body := get(t, s, "/ui"); status != 404 || gjson.Get(body, "error.code").Str != "not_found" {
		t.Errorf("got %d %s, want 404 in OpenAI's format", status, body)
	}
}

func TestAllowedIPs(t *testing.T) {
	s := caddyharnessTCP(t, helloModel+"general_settings: {allowed_ips: [10.1.2.3]}\n")
	if status, body := ask(t, s, "/v1/chat/completions", "hello", nil); status != 403 || gjson.Get(body, "error.code").Str != "ip_not_allowed" {
		t.Errorf("got %d %s, want 403", status, body)
	}
}

func caddyharnessTCP(t *testing.T, config string) *caddyharness.Server {
	t.Helper()
	adapted, _, err := adapt(t, "config.yaml", config)
	if err != nil {
		t.Fatal(err)
	}
	return caddyharness.Load(t, string(adapted), caddyharness.WithTCP())
}

func TestFailoverDemoFallsBack(t *testing.T) {
	server := upstream(t)
	s := serve(t, strings.ReplaceAll(`
model_list:
  - {model_name: llama-fp8, litellm_params: {model: openai/llama-fp8, api_base: "http://127.0.0.1:1/v1", api_key: a}}
  - {model_name: llama3, litellm_params: {model: openai/llama3, api_base: SERVER/v1, api_key: b}}
router_settings: {fallbacks: [{llama-fp8: [llama3]}], num_retries: 0, timeout: 30, allowed_fails: 1, cooldown_time: 10}
`, "SERVER", server.URL))
	for range 4 {
		status, body := ask(t, s, "/v1/chat/completions", "llama-fp8", nil)
		if status != 200 || gjson.Get(body, "model").Str != "llama3" {
			t.Errorf("got %d %s, want llama3's answer", status, body)
		}
	}
}
