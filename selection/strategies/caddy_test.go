package strategies_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

var bareDeployment = regexp.MustCompile(`(?m)^(\s*deployment \w+)$`)

// pool is the config of a pool m whose deployments answer without a network.
func pool(config string) string {
	config = bareDeployment.ReplaceAllString(config, "$1 {\n}")
	config = regexp.MustCompile(`(deployment \w+) \{`).ReplaceAllString(config, "$1 {\n\ttransport llm_mock {\n\t\tresponse ok\n\t}\n")
	return ":8080 {\n\tllm_router {\n\t\tpool m {\n" + config + "\n}\n}\n}\n"
}

func serve(t *testing.T, config string) *caddyharness.Server {
	t.Helper()
	return caddyharness.Load(t, pool(config))
}

// ask sends a request and tells which deployment has served it.
func ask(t *testing.T, server *caddyharness.Server, messages ...string) string {
	t.Helper()
	var list []string
	for i, m := range messages {
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf(`{"role":%q,"content":%s}`, []string{"user", "assistant"}[i%2], text))
	}
	body := `{"model":"m","messages":[` + strings.Join(list, ",") + `]}`
	// A server that a reload ends may still get a new connection, and closes it.
	var resp *http.Response
	for range 10 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL("/v1/chat/completions"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		if resp, err = server.Client().Do(req); err == nil {
			break
		}
		t.Log(err)
	}
	if resp == nil {
		t.Fatal("got ten errors, want an answer")
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d %s and error %v, want an answer", resp.StatusCode, answer, err)
	}
	return resp.Header.Get("X-Llm-Deployment")
}

// What each strategy does to requests that come one after the other.
func TestStrategiesOnARealCaddy(t *testing.T) {
	const abc = "\ndeployment a {\n\tweight 3\n\tcost 1 1\n\trpm 1000\n}\ndeployment b {\n\tcost 0 0\n\trpm 500\n}\ndeployment c {\n\tweight 0\n}\n"
	for _, test := range []struct {
		strategy string
		check    func(got map[string]int) bool
		want     string
	}{
		{"round_robin", func(got map[string]int) bool { return got["a"] == 60 && got["b"] == 20 }, "60 for a and 20 for b"},
		{"cost", func(got map[string]int) bool { return got["b"] == 80 }, "all for b, which is free"},
		{"usage", func(got map[string]int) bool { return got["a"] >= 53 && got["a"] <= 54 }, "two thirds for a, by its rpm"},
		{"weighted", func(got map[string]int) bool { return got["a"] > got["b"] }, "most for a"},
		{"least_busy", func(got map[string]int) bool { return got["a"] > got["b"] && got["b"] > 0 }, "most for a, and some for b"},
		{"least_busy {\nby tokens\n}", func(got map[string]int) bool { return got["a"] > got["b"] && got["b"] > 0 }, "most for a, and some for b"},
		{"latency", func(got map[string]int) bool { return got["a"] > 0 && got["b"] > 0 }, "some for a and b"},
		{"prefix_affinity", func(got map[string]int) bool { return got["a"] == 80 || got["b"] == 80 }, "all for the first that had it"},
	} {
		name, _, _ := strings.Cut(strings.ReplaceAll(test.strategy, "\n", " "), " {")
		t.Run(name, func(t *testing.T) {
			server := serve(t, "strategy "+test.strategy+abc)
			got := make(map[string]int)
			for range 80 {
				got[ask(t, server, strings.Repeat("The same question. ", 100))]++
			}
			if !test.check(got) || got["c"] > 0 {
				t.Errorf("got %v, want %s, and none for the standby", got, test.want)
			}
		})
	}
}

// A conversation stays where it is, over a reload too.
func TestConversationsStayOverAReload(t *testing.T) {
	const config = "strategy prefix_affinity\ndeployment a\ndeployment b\ndeployment c\ndeployment d\n"
	server := serve(t, config)
	where := make(map[string]bool)
	for chat := range 20 {
		question := strings.Repeat(fmt.Sprintf("Question %d. ", chat), 100)
		messages := []string{question}
		first := ask(t, server, messages...)
		where[first] = true
		for turn := range 4 {
			if turn == 2 && chat%4 == 0 {
				server.Reload(t, pool(config+fmt.Sprintf("retries %d\n", chat)))
			}
			messages = append(messages, "ok", question)
			if got := ask(t, server, messages...); got != first {
				t.Fatalf("chat %d, turn %d: got %s, want %s as before", chat, turn+2, got, first)
			}
		}
	}
	if len(where) < 3 {
		t.Errorf("got all chats on %v, want them spread", where)
	}
}
