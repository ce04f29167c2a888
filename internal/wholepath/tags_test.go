package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// Which deployments a request's tags choose, on the whole path.

func TestTagsChooseDeployments(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, `
		team {http.request.header.X-Team}
		tags {http.request.header.X-Tags} {http.request.header.X-More}
		pool defaulted {
			deployment chat SHARED1 {
				tags chat default
			}
			deployment batch SHARED2 {
				tags batch night
			}
			deployment untagged OTHER
		}
		pool strict nick {
			deployment chat SHARED1 {
				tags chat
			}
			deployment reds RED1 {
				team red
				tags red-only
			}
		}
		pool plain {
			deployment any OTHER
		}`))
	for _, tt := range []struct{ model, tags, more, team, want string }{
		{"defaulted", "", "", "", "chat"},
		{"defaulted", "batch", "", "", "batch"},
		{"defaulted", "night", "", "", "batch"},
		{"defaulted", "x, night ,y", "", "", "batch"},
		{"defaulted", "x", "batch", "", "batch"},
		{"defaulted", ",, ,", "", "", "chat"},
		{"defaulted", "x", "", "", "chat"},
		{"defaulted", "BATCH", "", "", "chat"},
		{"defaulted", "default", "", "", "chat"},
		{"strict", "", "", "", "chat"},
		{"strict", "chat", "", "", "chat"},
		{"strict", "x", "", "", ""},
		{"nick", "x", "", "", ""},
		{"strict", "red-only", "", "", ""}, // another team's tags are none
		{"strict", "red-only", "", "red", "reds"},
		{"strict", "", "", "red", "reds"},
		{"strict", "chat", "", "red", ""},
		{"plain", "x", "", "", "any"},
		{"plain", "", "", "", "any"},
	} {
		t.Run(fmt.Sprintf("%s for %q %q of team %q", tt.model, tt.tags, tt.more, tt.team), func(t *testing.T) {
			for range 5 {
				g := ask(t, s, chatPath, fmt.Sprintf(`{"model":%q}`, tt.model), "X-Tags", tt.tags, "X-More", tt.more, "X-Team", tt.team)
				if tt.want != "" {
					g.served(t, "ok", tt.want, 1, 0)
					continue
				}
				g.refused(t, http.StatusNotFound, "model", "model_not_found")
				if !strings.Contains(g.field("error.message"), `"`+tt.model+`"`) {
					t.Errorf("got %s, want it to name the model %s that was asked for", g.body, tt.model)
				}
				g.by(t, "", 0, 0)
			}
		})
	}
}

func TestTagsHoldForFailover(t *testing.T) {
	ups := crew{}
	s := routerWith(t, ups.fill(t, `
		tags {http.request.header.X-Tags}
		retries 0
		cooldown off
		pool p {
			deployment batch-1 SHARED1 {
				tags batch
			}
			deployment batch-2 SHARED2 {
				order 2
				tags batch
			}
			deployment default OTHER {
				order 3
				tags default
			}
		}`))
	ups["SHARED1"].Always(scripted.Error(500, "", "", "down"))
	ask(t, s, chatPath, plain, "X-Tags", "batch").served(t, "ok", "batch-2", 2, 0)
	ups["SHARED2"].Always(scripted.Error(500, "", "", "down"))
	ask(t, s, chatPath, plain, "X-Tags", "batch").by(t, "batch-2", 2, 0)
	ups.none(t, "OTHER")
}

// The tags of LiteLLM's header are a client's own wish.
func TestTagsOfLiteLLMsHeaderHaveToBeAllowed(t *testing.T) {
	for option, want := range map[string]string{"": "usual", "client_options retries": "usual", "client_options tags": "special"} {
		t.Run("with "+option, func(t *testing.T) {
			ups := crew{}
			s := routerWith(t, ups.fill(t, option+`
				pool p {
					deployment usual SHARED1 {
						tags default
					}
					deployment special OTHER {
						tags special
					}
				}`))
			ask(t, s, chatPath, plain, "X-Litellm-Tags", "special").served(t, "ok", want, 1, 0)
		})
	}
}
