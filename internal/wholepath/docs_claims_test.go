package wholepath

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// blockWith gives the one block of a document that contains a text.
func blockWith(t testing.TB, path, text string) string {
	t.Helper()
	var found []string
	for _, b := range docBlocks(t, path) {
		if strings.Contains(b.text, text) {
			found = append(found, b.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s: got %d blocks with %q, want one", path, len(found), text)
	}
	return found[0]
}

func TestDocumentedModulesAreAll(t *testing.T) {
	got := strings.Fields(blockWith(t, "xcaddy.md", "http.handlers.llm_router"))
	var want []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "llm") {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got the modules %q in xcaddy.md, want %q", got, want)
	}
}

// The defaults in the tables of the reference are those of the code.
func TestDocumentedDefaultsAreThoseOfTheCode(t *testing.T) {
	text := readDoc(t, "docs/configuration.md")
	p, c := retry.DefaultPolicy(), health.DefaultConfig()
	for _, tt := range []struct{ row, want string }{
		{"retries <n>", fmt.Sprint(p.Retries)},
		{"backoff <initial> <max>", short(p.Backoff.Initial) + " " + short(p.Backoff.Max)},
		{"max_wait <duration> [<with_fallback>]", short(p.MaxWait) + " " + short(p.MaxWaitWithFallback)},
		{`cooldown <duration>\|off`, short(c.Duration)},
		{"failure_rate <percent> <min_requests>", fmt.Sprintf("%v%% %d", c.FailureRate*100, c.MinRequests)},
		{"window <duration>", short(c.Window)},
		{"max <duration>", short(c.Max)},
		{"growth <factor> <max>", fmt.Sprintf("%v %s", c.Growth, short(c.GrowthMax))},
	} {
		rows := regexp.MustCompile("(?m)^\\| `"+regexp.QuoteMeta(tt.row)+"` \\| `([^`]+)` ").FindAllStringSubmatch(text, -1)
		if len(rows) == 0 {
			t.Errorf("got no row %s with a default", tt.row)
		}
		for _, row := range rows {
			if same(row[1]) != same(tt.want) {
				t.Errorf("%s: got the default %s, want %s", tt.row, row[1], tt.want)
			}
		}
	}
}

// same makes 60s and 1m0s one.
func same(values string) string {
	var out []string
	for value := range strings.FieldsSeq(values) {
		if d, err := time.ParseDuration(value); err == nil {
			value = d.String()
		}
		out = append(out, value)
	}
	return strings.Join(out, " ")
}

func short(d time.Duration) string { return d.String() }

func TestDocumentedPlaceholdersHaveValues(t *testing.T) {
	names := matches(`\{http\.llm_router\.([a-z_]+)\}`, readDoc(t, "docs/observability.md"))
	a := scripted.New(t).Always(chatFormat.cut(chatFormat.begun("one")...))
	s := caddyharness.Load(t, logged(pricedPool(a, a, "cost 1 1", "", "affinity auto\ncache 1h")))
	ask(t, s, chatPath, streamed)
	line := s.AccessLog(t, 0)
	for name := range names {
		if value := line.Fields["x_"+name]; value == nil || value == "" {
			t.Errorf("{http.llm_router.%s}: got %v, want a value", name, value)
		}
	}
	if len(names) != len(placeholders) {
		t.Errorf("got %d placeholders, want %q", len(names), placeholders)
	}
}

// The filter of the documents keeps keys of clients out of the access log, in
// all headers in which clients send them.
func TestDocumentedLogFilterHidesKeys(t *testing.T) {
	s := caddyharness.Load(t, blockWith(t, "docs/observability.md", "format filter"))
	const secret = "sk-do-not-log"
	ask(t, s, chatPath+"?key="+secret+"&api-key="+secret, `{"model":"unknown"}`,
		"Authorization", "Bearer "+secret, "X-Api-Key", secret, "Api-Key", secret, "X-Goog-Api-Key", secret)
	if line := s.AccessLog(t, 0); strings.Contains(line.Raw, secret) || !strings.Contains(line.Raw, chatPath) {
		t.Errorf("got the log line %s, want one without the key", line.Raw)
	}
}

func TestDocumentedErrorRoutesSeeOtherHandlers(t *testing.T) {
	s := caddyharness.Load(t, blockWith(t, "docs/headers-and-errors.md", "handle_errors"))
	g := ask(t, s, chatPath, `{"model":"unknown"}`)
	if g.status != http.StatusUnauthorized || !strings.Contains(g.body, `"message":"Unauthorized"`) {
		t.Errorf("got status %d and %s, want 401 from the error route", g.status, g.body)
	}
}

// Every spelling of a wait that the documents show is understood.
func TestDocumentedWaitsAreUnderstood(t *testing.T) {
	_, section, _ := strings.Cut(readDoc(t, "docs/failures.md"), "## How long to wait")
	section, _, _ = strings.Cut(section, "\n## ")
	now := time.Date(2026, time.October, 21, 7, 0, 0, 0, time.UTC)
	examples := 0
	for _, row := range regexp.MustCompile(`(?m)^\| (.+?) \| (.+) \|$`).FindAllStringSubmatch(section, -1) {
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			header, body, text := make(http.Header), "", quoted[1]
			name, value, isHeader := strings.Cut(text, ": ")
			switch {
			case strings.HasPrefix(row[1], "`"):
				header.Set(strings.Trim(row[1], "`"), text)
			case strings.HasPrefix(text, `"`):
				body = `{"error":{` + text + `}}`
			case isHeader:
				header.Set(name, value)
			default:
				body = `{"error":{"message":"Too much. ` + text + `."}}`
			}
			examples++
			if wait, ok := retry.Wait(header, []byte(body), now); !ok || wait <= 0 || wait > time.Hour {
				t.Errorf("%s: got the wait %v, stated %t, want one of at most an hour", text, wait, ok)
			}
		}
	}
	if examples < 12 {
		t.Errorf("got %d examples, want at least 12", examples)
	}
}
