package wholepath

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

func exampleFile(t testing.TB) []byte {
	t.Helper()
	content, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestExampleIsFormattedAndAdapts(t *testing.T) {
	content := exampleFile(t)
	if got := caddyfile.Format(content); !bytes.Equal(got, content) {
		t.Errorf("got a file that is not formatted, want:\n%s", got)
	}
	_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(content, nil)
	if err != nil || len(warnings) != 0 {
		t.Errorf("got error %v and warnings %v, want none", err, warnings)
	}
}

// exampleRequest is one curl line of the example's comments.
type exampleRequest struct{ path, body string }

// exampleRequests finds the curl lines, and fails the test on one that it cannot
// read.
func exampleRequests(t testing.TB) map[string]exampleRequest {
	t.Helper()
	line := regexp.MustCompile(`^curl -iN? localhost:8080(/\S+) -d '([^']+)'$`)
	found := make(map[string]exampleRequest)
	for text := range strings.Lines(string(exampleFile(t))) {
		_, command, ok := strings.Cut(text, "#\t")
		if !ok || !strings.HasPrefix(command, "curl ") {
			continue
		}
		match := line.FindStringSubmatch(strings.TrimSpace(command))
		if match == nil {
			t.Errorf("got the line %q, want curl -i localhost:8080/... -d '...'", command)
			continue
		}
		name := gjson.Get(match[2], "model").String()
		if gjson.Get(match[2], "stream").Bool() {
			name += " streamed"
		}
		found[name] = exampleRequest{match[1], match[2]}
	}
	return found
}

// Each curl line of Caddyfile.example shows what the comment around it says.
func TestExampleRequestsShowWhatTheirCommentsSay(t *testing.T) {
	s := caddyharness.Load(t, string(exampleFile(t)))
	curl := func(t *testing.T, r exampleRequest) got {
		t.Helper()
		return ask(t, s, r.path, r.body, "Content-Type", "application/x-www-form-urlencoded", "User-Agent", "curl/8", "Accept", "*/*")
	}
	shows := map[string]func(*testing.T, exampleRequest){
		"gpt-4o": func(t *testing.T, r exampleRequest) {
			const n = 400
			var (
				mu    sync.Mutex
				tally = make(map[string]int)
				wg    sync.WaitGroup
			)
			for range 8 {
				wg.Go(func() {
					for range n / 8 {
						g, err := tryAsk(t.Context(), s, r.path, r.body)
						if err != nil || g.status != 200 || !strings.Contains(g.body, "Hello from gpt-4o") {
							t.Errorf("got %d %q, %v; want the answer of gpt-4o", g.status, g.body, err)
						}
						mu.Lock()
						tally[g.header.Get("X-LLM-Deployment")]++
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			// Six standard deviations around four out of five.
			if east, west := tally["eastus"], tally["openai"]; east+west != n || east < 272 || east > 368 {
				t.Errorf("got %v of %d requests, want eastus about 320 times and openai otherwise", tally, n)
			}
		},
		"gpt-4o streamed": func(t *testing.T, r exampleRequest) {
			g := curl(t, r)
			if g.status != 200 || !strings.HasPrefix(g.header.Get("Content-Type"), "text/event-stream") ||
				strings.Count(g.body, "data: ") < 4 || !strings.HasSuffix(g.body, "data: [DONE]\n\n") {
				t.Errorf("got %d %s, want a stream with its end", g.status, g.body)
			}
		},
		"sonnet": func(t *testing.T, r exampleRequest) {
			curl(t, r).served(t, "Hello from the standby.", "standby", 2, 0)
			for range 20 {
				if g := curl(t, r); g.header.Get("X-LLM-Attempts") == "1" {
					g.served(t, "Hello from the standby.", "standby", 1, 0)
					return
				}
			}
			t.Error("got 20 answers that asked the primary first, want it to cool down after a few failures")
		},
		"llama-fp8": func(t *testing.T, r exampleRequest) {
			g := curl(t, r)
			if g.status != 200 || !strings.Contains(g.body, "Hello from llama3.") ||
				g.header.Get("X-LLM-Pool") != "llama3" || g.header.Get("X-LLM-Fallbacks") != "1" {
				t.Errorf("got %d %s from pool %q after %s fallbacks, want llama3 after one", g.status, g.body,
					g.header.Get("X-LLM-Pool"), g.header.Get("X-LLM-Fallbacks"))
			}
		},
	}
	requests := exampleRequests(t)
	for name, request := range requests {
		show, ok := shows[name]
		if !ok {
			t.Errorf("the example asks for %s, which this test does not know", name)
			continue
		}
		t.Run(name, func(t *testing.T) { show(t, request) })
	}
	if len(requests) != len(shows) {
		t.Errorf("got %d curl lines in the example, want %d", len(requests), len(shows))
	}
}
