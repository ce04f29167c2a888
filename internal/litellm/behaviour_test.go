package litellm_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// mocks writes a model_list of mocks, each of which answers with its own text:
// lines of a model_name, the answer, and more of the entry.
func mocks(lines string) string {
	var list strings.Builder
	list.WriteString("model_list:\n")
	for line := range strings.Lines(lines) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) < 2 {
			continue
		}
		more := ""
		if len(fields) == 3 {
			more = ", " + fields[2]
		}
		list.WriteString("  - {model_name: '" + fields[0] + "', litellm_params: {model: openai/x, mock_response: " + fields[1] + more + "}}\n")
	}
	return list.String()
}

// The answer to a model is what LiteLLM would have answered with.
func TestAnswers(t *testing.T) {
	const failing = "litellm.InternalServerError"
	for _, tc := range []struct {
		name, config, model string
		header              http.Header
		status              int
		want                string
	}{
		{
			name:   "an alias wins over a group of its name",
			config: mocks("a first\nb second\n") + "router_settings: {model_group_alias: {a: b, b: a}}\n",
			model:  "a", status: 200, want: "second",
		},
		{
			name:   "a fallback by an alias",
			config: mocks("a "+failing+"\nb second\n") + "router_settings: {num_retries: 0, model_group_alias: {c: b}, fallbacks: [{a: [c]}]}\n",
			model:  "a", status: 200, want: "second",
		},
		{
			name:   "a default fallback for a group without its own",
			config: mocks("a "+failing+"\nb second\n") + "router_settings: {num_retries: 0, default_fallbacks: [b]}\n",
			model:  "a", status: 200, want: "second",
		},
		{
			name:   "a default fallback for a model that there is not",
			config: mocks("b second\n") + "router_settings: {default_fallbacks: [b]}\n",
			model:  "nowhere", status: 200, want: "second",
		},
		{
			name:   "a fallback of one name of a wildcard",
			config: mocks("all/* "+failing+"\nb second\n") + "router_settings: {num_retries: 0, fallbacks: [{all/one: [b]}]}\n",
			model:  "all/one", status: 200, want: "second",
		},
		{
			name:   "the other names of a wildcard have none",
			config: mocks("all/* "+failing+"\nb second\n") + "router_settings: {num_retries: 0, fallbacks: [{all/one: [b]}]}\n",
			model:  "all/two", status: 500,
		},
		{
			name:   "the provider's prefix is not needed in fallbacks",
			config: mocks("openai/a "+failing+"\nb second\n") + "router_settings: {num_retries: 0, fallbacks: [{a: [b]}]}\n",
			model:  "openai/a", status: 200, want: "second",
		},
		{
			name:   "without failover the failure surfaces",
			config: mocks("a "+failing+" weight: 1\na standby weight: 0\n") + "router_settings: {num_retries: 0}\n",
			model:  "a", status: 500,
		},
		{
			name:   "with it the standby answers",
			config: mocks("a "+failing+" weight: 1\na standby\n") + "router_settings: {num_retries: 0, enable_weighted_failover: true}\n",
			model:  "a", status: 200, want: "standby",
		},
		{
			name:   "the next order answers without weighted failover",
			config: mocks("a "+failing+" order: 1\na third order: 3\na none\n") + "router_settings: {num_retries: 0}\n",
			model:  "a", status: 200, want: "third",
		},
		{
			name:   "a retry asks the other deployment",
			config: mocks("a "+failing+" weight: 1\na standby weight: 0\n") + "router_settings: {num_retries: 1}\n",
			model:  "a", status: 200, want: "standby",
		},
		{
			name:   "a prompt that is too long for the model",
			config: mocks("a litellm.ContextWindowExceededError\nb second\nc third\n") + "router_settings: {fallbacks: [{a: [b]}], context_window_fallbacks: [{a: [c]}]}\n",
			model:  "a", status: 200, want: "third",
		},
		{
			name:   "filtered content",
			config: mocks("a 'Exception:_content_filter_policy'\nb second\nc third\n") + "router_settings: {fallbacks: [{a: [b]}], content_policy_fallbacks: [{a: [c]}]}\n",
			model:  "a", status: 200, want: "third",
		},
		{
			name:   "a tag of the request",
			config: mocks("a free tags: [free]\na paid tags: [paid]\n") + "router_settings: {enable_tag_filtering: true}\n",
			model:  "a", header: http.Header{"X-Litellm-Tags": {"paid, other"}}, status: 200, want: "paid",
		},
		{
			name:   "tags without filtering mean nothing",
			config: mocks("a one tags: [default], weight: 0\na two weight: 1\n"),
			model:  "a", header: http.Header{"X-Litellm-Tags": {"default"}}, status: 200, want: "two",
		},
		{
			name: "a team's deployment is nobody else's",
			config: "model_list:\n" +
				"  - {model_name: x, litellm_params: {model: openai/x, mock_response: theirs, weight: 9}, model_info: {team_id: t, team_public_model_name: a}}\n" +
				"  - {model_name: a, litellm_params: {model: openai/x, mock_response: ours, weight: 0}}\n",
			model: "a", status: 200, want: "ours",
		},
		{
			name:   "a body above max_request_size_mb",
			config: mocks("a one\n") + "general_settings: {max_request_size_mb: 0.00001}\n",
			model:  "a", status: 413,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("LITELLM_MASTER_KEY", "")
			s := serve(t, strings.ReplaceAll(tc.config, "_content_filter", " content_filter"))
			for range 3 { // chance decides nothing
				status, body := ask(t, s, "/v1/chat/completions", tc.model, tc.header)
				if got := gjson.Get(body, "choices.0.message.content").Str; status != tc.status || got != tc.want {
					t.Fatalf("got %d %s, want %d %q", status, body, tc.status, tc.want)
				}
			}
		})
	}
}

func TestHiddenGroupIsNotListed(t *testing.T) {
	t.Setenv("LITELLM_MASTER_KEY", "")
	s := serve(t, mocks("a one\nb two\n")+"router_settings: {model_group_alias: {a: b}}\n")
	_, body := get(t, s, "/v1/models")
	if got, want := gjson.Get(body, "data.#.id").Raw, `["b","a"]`; got != want {
		t.Errorf("got models %s, want %s", got, want)
	}
}
