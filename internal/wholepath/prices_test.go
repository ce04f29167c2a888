package wholepath

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// What the router knows of models from a file of prices, on the whole path.

func TestPricesOfTheFile(t *testing.T) {
	answer := scripted.Reply(200, nil, `{"choices":[{"message":{"content":"Quack"}}],"usage":{"prompt_tokens":30,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":20}}}`)
	const (
		duck = "0.000216" // 10 at 3 $, 20 at 0.3 $, 12 at 15 $
		none = ""
	)
	for _, tt := range []struct{ name, pool, deployment, want string }{
		{"by the pool's name", "duck-1", "", duck},
		{"by the model", "p", "model duck-1", duck},
		{"by the base model, whatever the model", "p", "model my-duck\nbase_model duck-1", duck},
		{"by a model with a provider", "p", "model pond/duck-1", duck},
		{"by a model without one", "p", "model swan", "0.00003"},
		{"of what is free", "p", "model free", "0"},
		{"the deployment's own wins", "duck-1", "cost 1 2", "0.000054"},
		{"with a price of its own for what was cached", "duck-1", "cost 1 2 0.5", "0.000044"},
		{"of a model that is not in the file", "p", "model eagle", none},
		{"of a base model that is not, although the model is", "p", "model duck-1\nbase_model eagle", none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := scripted.New(t).Always(answer)
			pools := fmt.Sprintf("prices testdata/prices.json\npool %s {\ndeployment a %s {\n%s\n}\n}\n", tt.pool, a.URL, tt.deployment)
			s := caddyharness.Load(t, logged(pools)+":8081 {\n\tmetrics\n}\n", caddyharness.WithAdmin())
			g := ask(t, s, chatPath, fmt.Sprintf(`{"model":%q}`, tt.pool))
			if got := g.header.Get("X-LLM-Cost"); got != tt.want {
				t.Errorf("got the header %q, want %q", got, tt.want)
			}
			line := s.AccessLog(t, 0)
			fields, _ := line.Fields["llm_router"].(map[string]any)
			metric := selection.RoundCost(scrape(t, s)[`cost_dollars_total{deployment="a",pool="`+tt.pool+`"}`])
			switch {
			case tt.want == none && (fields["cost"] != nil || metric != 0):
				t.Errorf("got %v in the access log and %v in the metrics, want nothing", fields["cost"], metric)
			case tt.want != none && (fmt.Sprint(fields["cost"]) != fmt.Sprint(metric) || fields["cost"] == nil):
				t.Errorf("got %v in the access log and %v in the metrics, want the same", fields["cost"], metric)
			}
		})
	}
}

func TestSizesOfTheFile(t *testing.T) {
	for _, tt := range []struct {
		name, deployment, body string
		served                 bool
	}{
		{"a prompt within the limit", "model duck-1", words("p", 100, ""), true},
		{"one beyond it", "model duck-1", words("p", 101, ""), false},
		{"the answer comes on top", "model duck-1", words("p", 100, `,"max_tokens":50`), true},
		{"the deployment's own limit wins", "model duck-1\nmax_input 200", words("p", 101, ""), true},
		{"its own window too", "model duck-1\ncontext_window 200", words("p", 101, ""), true},
		{"and where that is smaller", "model duck-1\ncontext_window 60", words("p", 61, ""), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := scripted.New(t)
			s := routerWith(t, fmt.Sprintf("prices testdata/prices.json\npool p {\ndeployment a %s {\n%s\n}\n}\n", a.URL, tt.deployment))
			g := ask(t, s, chatPath, tt.body)
			if tt.served {
				g.served(t, "ok", "a", 1, 0)
				return
			}
			g.refused(t, http.StatusBadRequest, "", "context_length_exceeded")
			counts(t, "a", a, 0)
		})
	}
	t.Run("a longer answer than the model gives goes elsewhere", func(t *testing.T) {
		a, b := scripted.New(t), scripted.New(t)
		s := routerWith(t, "prices testdata/prices.json\n"+twoInOrder(a, b, "")+fmt.Sprintf("pool q {\n\tdeployment duck %s {\n\t\tmodel duck-1\n\t}\n\tdeployment swan %s {\n\t\tmodel swan\n\t\torder 2\n\t}\n}\n", a.URL, b.URL))
		ask(t, s, chatPath, words("q", 1, `,"max_tokens":51`)).served(t, "ok", "swan", 1, 0)
		ask(t, s, chatPath, words("q", 1, `,"max_tokens":50`)).served(t, "ok", "duck", 1, 0)
	})
}

func TestDeploymentsWithoutAPriceAreNamedOnce(t *testing.T) {
	a := scripted.New(t)
	const line = "deployments without a price; write cost, or base_model with a name that prices has"
	pools := fmt.Sprintf("pool p {\n\tdeployment duck %[1]s {\n\t\tmodel duck-1\n\t}\n\tdeployment eagle %[1]s\n\tdeployment own %[1]s {\n\t\tcost 0 0\n\t}\n}\npool q {\n\tdeployment crow %[1]s\n}\n", a.URL)
	t.Run("with a file of prices", func(t *testing.T) {
		s := routerWith(t, "prices testdata/prices.json\n"+pools)
		for range 3 {
			ask(t, s, chatPath, plain)
		}
		got := lines(s, line)
		if len(got) != 1 || got[0].Level != "info" {
			t.Fatalf("got %+v, want one line of the level info", got)
		}
		names, _ := got[0].Fields["deployments"].([]any)
		if !slices.Equal(names, []any{"p/eagle", "q/crow"}) {
			t.Errorf("got the deployments %v, want p/eagle and q/crow", names)
		}
	})
	t.Run("without one", func(t *testing.T) {
		s := routerWith(t, pools)
		ask(t, s, chatPath, plain)
		if got := lines(s, line); len(got) != 0 {
			t.Errorf("got %+v, want nothing", got)
		}
	})
}

func TestFilesOfPricesThatCannotBeRead(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LLM_ROUTER_TEST_PRICES", "testdata/prices-broken.json")
	huge := filepath.Join(t.TempDir(), "huge.json")
	if err := os.WriteFile(huge, []byte("{\n\n\"duck-1\":{\"input_cost_per_token\":1e300}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	const pools = `"pools":[{"name":"a","deployments":[{"id":"d","base_url":"http://h"}]}]`
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"missing", "testdata/no-such-prices.json", []string{"prices: stat testdata/no-such-prices.json: no such file"}},
		{"broken", "testdata/prices-broken.json", []string{"prices: testdata/prices-broken.json:2", `model "duck-1"`, "input_cost_per_token is negative"}},
		{"broken behind a placeholder", "{env.LLM_ROUTER_TEST_PRICES}", []string{"prices: testdata/prices-broken.json:2"}},
		{"a placeholder of nothing", "{env.LLM_ROUTER_NO_SUCH}", []string{"prices:", "{env.LLM_ROUTER_NO_SUCH}"}},
		{"a huge price", huge, []string{"huge.json:3", "input_cost_per_token is too large"}},
		{"a directory", "testdata", []string{"prices: testdata: not a regular file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := validateJSON(handlerConfig(fmt.Sprintf(`"prices":%q,%s`, tt.file, pools)))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error with %q", err, want)
				}
			}
		})
	}
}
