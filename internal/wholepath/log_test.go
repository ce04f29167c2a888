package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

func TestPlaceholdersInTheAccessLog(t *testing.T) {
	bad := scripted.New(t).Always(scripted.Error(http.StatusServiceUnavailable, "server_error", "", "busy"))
	good := scripted.New(t)
	var fields strings.Builder
	for _, name := range []string{"model", "pool", "deployment", "attempts", "fallbacks", "error_class"} {
		fmt.Fprintf(&fields, "log_append r_%s {http.llm_router.%s}\n", name, name)
	}
	s := caddyharness.Load(t, fmt.Sprintf(`
		:8080 {
			log
			%s
			llm_router {
				retries 0
				cooldown off
				pool p nick {
					deployment bad %s
					deployment good %s {
						order 2
					}
				}
				pool first {
					deployment bad %s
					fallback p
				}
				pool hopeless {
					deployment bad %s
				}
			}
		}
	`, fields.String(), bad.URL, good.URL, bad.URL, bad.URL))
	for n, tt := range []struct {
		body   string
		status int
		want   map[string]any
	}{
		{`{"model":"nick"}`, 200, map[string]any{"model": "nick", "pool": "p", "deployment": "good", "attempts": 2.0, "fallbacks": 0.0, "error_class": ""}},
		{`{"model":"first"}`, 200, map[string]any{"model": "first", "pool": "p", "deployment": "good", "attempts": 3.0, "fallbacks": 1.0, "error_class": ""}},
		{`{"model":"hopeless"}`, 503, map[string]any{"model": "hopeless", "pool": "hopeless", "deployment": "bad", "attempts": 1.0, "fallbacks": 0.0, "error_class": "overloaded"}},
	} {
		if g := ask(t, s, chatPath, tt.body); g.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", tt.body, g.status, g.body, tt.status)
		}
		e := s.AccessLog(t, n)
		for name, want := range tt.want {
			if got := e.Fields["r_"+name]; got != want {
				t.Errorf("%s: got %s %#v in the access log, want %#v", tt.body, name, got, want)
			}
		}
	}
}
