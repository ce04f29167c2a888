package wholepath

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	llmrouter "github.com/llmrouter/caddy-llm-router"
)

var updateGolden = flag.Bool("update", false, "write the second halves of testdata/adapt anew")

// golden is one file of testdata/adapt: a Caddyfile, a line of ten dashes, and
// the JSON that it adapts to or the error that it is refused with.
type golden struct {
	name, path      string
	caddyfile, want string
}

const goldenSeparator = "\n----------\n"

func goldens(t testing.TB) []golden {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(paths) == 0 {
		t.Fatalf("got %d golden files and error %v, want some", len(paths), err)
	}
	var all []golden
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		input, want, ok := strings.Cut(string(content), goldenSeparator)
		if !ok {
			t.Fatalf("%s has no line of ten dashes", path)
		}
		all = append(all, golden{
			name: strings.TrimSuffix(filepath.Base(path), ".caddyfiletest"), path: path,
			caddyfile: strings.TrimRight(input, "\n") + "\n", want: strings.TrimSpace(want),
		})
	}
	return all
}

// refused tells whether the file is one of those that must not adapt.
func (g *golden) refused() bool { return strings.HasPrefix(g.name, "error_") }

// adaptGolden adapts without formatting first, so that places are those of the
// file. Errors come without what the adapter says before them.
func adaptGolden(config string) (adapted []byte, warnings []caddyconfig.Warning, failure string) {
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		failure = strings.TrimPrefix(err.Error(), "parsing caddyfile tokens for 'llm_router': ")
	}
	return adapted, warnings, failure
}

func TestAdaptGolden(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			adapted, warnings, got := adaptGolden(g.caddyfile)
			if len(warnings) != 0 {
				t.Errorf("got warnings %v, want none", warnings)
			}
			if !g.refused() {
				if got != "" {
					t.Fatalf("got error %q, want it to adapt", got)
				}
				got = indentJSON(t, adapted)
			}
			if got == "" {
				t.Fatal("got no error, want one")
			}
			if *updateGolden {
				text := strings.TrimRight(g.caddyfile, "\n") + "\n" + goldenSeparator + got + "\n"
				if err := os.WriteFile(g.path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != g.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, g.want)
			}
		})
	}
}

// An error says where it is, and the line that it names is the one that has to
// be changed: the first word of that line is in the text.
func TestAdaptErrorsNameTheirPlace(t *testing.T) {
	place := regexp.MustCompile(`, at Caddyfile:(\d+)$`)
	for _, g := range goldens(t) {
		if !g.refused() {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			_, _, got := adaptGolden(g.caddyfile)
			match := place.FindStringSubmatch(got)
			if match == nil {
				t.Fatalf("got error %q, want one that ends with its file and line", got)
			}
			n, _ := strconv.Atoi(match[1])
			lines := strings.Split(g.caddyfile, "\n")
			if n < 1 || n > len(lines) {
				t.Fatalf("got line %d of %d in %q", n, len(lines), got)
			}
			words := strings.Fields(lines[n-1])
			if len(words) == 0 || !strings.Contains(got, words[0]) {
				t.Errorf("got %q, which names line %q, want it to name what stands there", got, lines[n-1])
			}
		})
	}
}

func TestAdaptGoldenFilesAreFormatted(t *testing.T) {
	for _, g := range goldens(t) {
		if got := string(caddyfile.Format([]byte(g.caddyfile))); got != g.caddyfile {
			t.Errorf("%s: got\n%s\nwant it formatted:\n%s", g.name, g.caddyfile, got)
		}
	}
}

// Every subdirective that a Caddyfile can name has a file that uses it and a
// file that shows how it is refused.
func TestAdaptGoldenFilesCoverTheGrammar(t *testing.T) {
	source, err := os.ReadFile("caddyfile.go")
	if err != nil {
		t.Fatal(err)
	}
	grammar := regexp.MustCompile(`(?m)^//\t+([a-z_]+) +[<a-z]`).FindAllSubmatch(source, -1)
	if len(grammar) < 40 {
		t.Fatalf("got %d subdirectives in the grammar, want at least 40", len(grammar))
	}
	all := goldens(t)
	for _, match := range grammar {
		name := string(match[1])
		word := regexp.MustCompile(`(?m)^\t+` + name + ` `)
		uses := func(refused bool) bool {
			return slices.ContainsFunc(all, func(g golden) bool { return g.refused() == refused && word.MatchString(g.caddyfile) })
		}
		if !uses(false) {
			t.Errorf("no golden file uses %s", name)
		}
		if name != "pool" && !uses(true) {
			t.Errorf("no golden file shows an error of %s", name)
		}
	}
}

func TestAdaptedConfigsAreValid(t *testing.T) {
	t.Setenv("LLM_ROUTER_TEST_KEY", "sk-test")
	t.Setenv("LLM_ROUTER_TEST_PRICES", "testdata/prices.json")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, g := range goldens(t) {
		if g.refused() {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			if err := validateJSON([]byte(g.want)); err != nil {
				t.Errorf("got %v, want a valid config", err)
			}
		})
	}
}

// What the Caddyfile says is all in the JSON, under names that the handler
// knows, and comes out of the handler as it went in.
func TestAdaptedHandlersRoundTrip(t *testing.T) {
	for _, g := range goldens(t) {
		if g.refused() {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			for _, raw := range handlersIn(t, []byte(g.want), "llm_router") {
				fields := make(map[string]any)
				if err := json.Unmarshal(raw, &fields); err != nil {
					t.Fatal(err)
				}
				delete(fields, "handler") // Caddy's own, taken off before the module sees the rest
				want := marshalJSON(t, fields)
				dec := json.NewDecoder(bytes.NewReader(want))
				dec.DisallowUnknownFields()
				h := new(llmrouter.Handler)
				if err := dec.Decode(h); err != nil {
					t.Fatalf("reading the handler: %v", err)
				}
				got := make(map[string]any) // for the same order of keys
				if err := json.Unmarshal(marshalJSON(t, h), &got); err != nil {
					t.Fatal(err)
				}
				if got := marshalJSON(t, got); !bytes.Equal(got, want) {
					t.Errorf("got:\n%s\nwant:\n%s", got, want)
				}
			}
		})
	}
}

func TestAdaptOrdersTheRouterBeforeReverseProxy(t *testing.T) {
	for _, tt := range []struct {
		golden string
		want   []string
	}{
		{"order", []string{"encode", "llm_router", "reverse_proxy"}},
		{"order_by_user", []string{"reverse_proxy", "llm_router"}},
	} {
		i := slices.IndexFunc(goldens(t), func(g golden) bool { return g.name == tt.golden })
		if i < 0 {
			t.Fatalf("there is no golden file %s", tt.golden)
		}
		adapted, _, failure := adaptGolden(goldens(t)[i].caddyfile)
		if failure != "" {
			t.Fatal(failure)
		}
		got := handlerNames(t, adapted)
		got = slices.DeleteFunc(got, func(name string) bool { return !slices.Contains(tt.want, name) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got the order %v, want %v", tt.golden, got, tt.want)
		}
	}
}

// validateJSON provisions a config as `caddy validate` does, without a word in
// the test's output.
func validateJSON(raw []byte) error {
	cfg := new(caddy.Config)
	if err := json.Unmarshal(raw, cfg); err != nil {
		return err
	}
	off := false
	cfg.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &off}}
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
	}}
	return caddy.Validate(cfg)
}

func marshalJSON(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func indentJSON(t testing.TB, raw []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// handlersIn finds the handlers of a name, in the order of their routes.
func handlersIn(t testing.TB, config []byte, name string) []json.RawMessage {
	t.Helper()
	var found []json.RawMessage
	walkHandlers(t, config, func(handler string, raw json.RawMessage) {
		if handler == name {
			found = append(found, raw)
		}
	})
	if len(found) == 0 {
		t.Fatalf("there is no handler %s in %s", name, config)
	}
	return found
}

func handlerNames(t testing.TB, config []byte) (names []string) {
	t.Helper()
	walkHandlers(t, config, func(handler string, _ json.RawMessage) { names = append(names, handler) })
	return names
}

// walkHandlers visits the handlers of all routes, those of a subroute after it.
func walkHandlers(t testing.TB, config []byte, visit func(string, json.RawMessage)) {
	t.Helper()
	var server struct {
		Apps struct {
			HTTP struct {
				Servers map[string]json.RawMessage `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &server); err != nil {
		t.Fatal(err)
	}
	var walk func(raw json.RawMessage)
	walk = func(raw json.RawMessage) {
		var routes struct {
			Routes []struct {
				Handle []json.RawMessage `json:"handle"`
			} `json:"routes"`
		}
		if err := json.Unmarshal(raw, &routes); err != nil {
			t.Fatal(err)
		}
		for _, route := range routes.Routes {
			for _, handler := range route.Handle {
				var module struct {
					Handler string `json:"handler"`
				}
				if err := json.Unmarshal(handler, &module); err != nil {
					t.Fatal(err)
				}
				visit(module.Handler, handler)
				if module.Handler == "subroute" {
					walk(handler)
				}
			}
		}
	}
	for _, raw := range server.Apps.HTTP.Servers {
		walk(raw)
	}
}

// handlerConfig is a whole config around the JSON of one handler.
func handlerConfig(fields string) []byte {
	return []byte(`{"apps":{"http":{"servers":{"s":{"listen":[":8080"],"automatic_https":{"disable":true},"routes":[{"handle":[{"handler":"llm_router",` +
		fields + `}]}]}}}}}`)
}

// Who writes JSON gets the same checks, in sentences that name the pool, the
// deployment and the field.
func TestInvalidJSONIsRefused(t *testing.T) {
	t.Setenv("LLM_ROUTER_TEST_KEY", "sk-secret")
	t.Setenv("LLM_ROUTER_TEST_URL", "http://me:sk-secret@gpu-1:8000/v1")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	deployment := func(fields string) string {
		return `"pools":[{"name":"a","deployments":[{"id":"d","base_url":"http://127.0.0.1:9/v1"` + fields + `}]}]`
	}
	pool := func(fields string) string {
		return `"pools":[{"name":"a"` + fields + `,"deployments":[{"id":"d","base_url":"http://127.0.0.1:9/v1"}]}]`
	}
	proxy := func(fields string) string { return deployment(`,"reverse_proxy":{` + fields + `}`) }
	for _, tt := range []struct {
		name, fields string
		want         []string
	}{
		{"no pools", `"max_body":1`, []string{"no pools"}},
		{"max_body negative", `"max_body":-1,` + pool(""), []string{"max_body", "negative"}},
		{"max_body no number", `"max_body":"1MiB",` + pool(""), []string{"max_body"}},
		{"priority no number", `"priority":"high",` + pool(""), []string{"priority", `"high"`, "whole number", "placeholder"}},
		{"priority out of range", `"priority":"1000001",` + pool(""), []string{"priority", `"1000001"`}},
		{"unknown_model", `"unknown_model":"ignore",` + pool(""), []string{"unknown_model", `"ignore"`, "reject", "next"}},
		{"a field of another name", `"poools":[],` + pool(""), []string{"poools"}},
		{"default fallback to an unknown pool", `"default_fallback":["b"],` + pool(""), []string{"default_fallback", `no pool "b"`}},
		{"fallback of all pools to an unknown pool", `"fallback":["b"],` + pool(""), []string{"fallback", `no pool "b"`}},
		{"fallback to an unknown pool", pool(`,"fallback":["b"]`), []string{`pool "a"`, "fallback", `no pool "b"`}},
		{"context fallback to an unknown pool", pool(`,"context_window_fallback":["b"]`), []string{`pool "a"`, "context_window_fallback", `no pool "b"`}},
		{"policy fallback to an unknown pool", pool(`,"content_policy_fallback":["b"]`), []string{`pool "a"`, "content_policy_fallback", `no pool "b"`}},
		{"fallback to itself", pool(`,"fallback":["a"]`), []string{`pool "a"`, "fallback", "the pool itself"}},
		{"fallback to itself by an alias", pool(`,"aliases":["x"],"fallback":["x"]`), []string{`pool "a"`, "fallback", `"x"`, "the pool itself"}},
		{"context fallback to itself", pool(`,"context_window_fallback":["a"]`), []string{`pool "a"`, "context_window_fallback", "the pool itself"}},
		{"policy fallback to itself", pool(`,"content_policy_fallback":["a"]`), []string{`pool "a"`, "content_policy_fallback", "the pool itself"}},
		{"an alias twice", pool(`,"aliases":["x","x"]`), []string{`"x"`, "two pools"}},
		{"an alias like its pool", pool(`,"aliases":["a"]`), []string{`"a"`, "two pools"}},
		{"a pool twice", `"pools":[{"name":"a","deployments":[{"id":"d","base_url":"http://h"}]},{"name":"a","deployments":[{"id":"d","base_url":"http://h"}]}]`, []string{`"a"`, "two pools"}},
		{"an alias like another pool", `"pools":[{"name":"a","deployments":[{"id":"d","base_url":"http://h"}]},{"name":"b","aliases":["a"],"deployments":[{"id":"d","base_url":"http://h"}]}]`, []string{`"a"`, "two pools"}},
		{"a pool without a name", `"pools":[{"deployments":[{"id":"d","base_url":"http://h"}]}]`, []string{"no name"}},
		{"a pool that is null", `"pools":[null]`, []string{"pool"}},
		{"a pool with two stars", `"pools":[{"name":"a*b*","deployments":[{"id":"d","base_url":"http://h"}]}]`, []string{`"a*b*"`, "more than one *"}},
		{"a pool without deployments", `"pools":[{"name":"a"}]`, []string{`pool "a"`, "no deployments"}},
		{"a deployment that is null", `"pools":[{"name":"a","deployments":[null]}]`, []string{`pool "a"`, "deployment"}},
		{"a deployment without an id", `"pools":[{"name":"a","deployments":[{"base_url":"http://h"}]}]`, []string{`pool "a"`, "no id"}},
		{"a deployment twice", `"pools":[{"name":"a","deployments":[{"id":"d","base_url":"http://h"},{"id":"d","base_url":"http://h"}]}]`, []string{`pool "a"`, `id "d"`}},
		{"a deployment without an address", `"pools":[{"name":"a","deployments":[{"id":"d"}]}]`, []string{`deployment "d"`, "base_url"}},
		{"an address with a password", deployment(`,"base_url":"{env.LLM_ROUTER_TEST_URL}"`), []string{`deployment "d"`, "base_url", "password"}},
		{"an address from a missing variable", deployment(`,"base_url":"http://{env.LLM_ROUTER_NO_SUCH}/sk-secret"`), []string{"base_url", "{env.LLM_ROUTER_NO_SUCH}"}},
		{"weight negative", deployment(`,"weight":-1`), []string{`pool "a"`, `deployment "d"`, "weight", "negative"}},
		{"order negative", deployment(`,"order":-1`), []string{`deployment "d"`, "order", "negative"}},
		{"rpm negative", deployment(`,"rpm":-1`), []string{`deployment "d"`, "rpm", "negative"}},
		{"timeout negative", deployment(`,"timeout":-1`), []string{`deployment "d"`, "timeout", "negative"}},
		{"timeout no duration", deployment(`,"timeout":"soon"`), []string{"soon"}},
		{"context_window negative", deployment(`,"context_window":-1`), []string{`deployment "d"`, "context_window", "negative"}},
		{"max_input negative", deployment(`,"max_input":-1`), []string{`deployment "d"`, "max_input", "negative"}},
		{"a tokenizer that is missing", deployment(`,"tokenizer":"gpt-4o"`), []string{`deployment "d"`, `no tokenizer "gpt-4o"`, "o200k_base"}},
		{"a tokenizer of the pool that is missing", pool(`,"pre_call_checks":{"tokenizer":"gpt-4o"}`), []string{`pool "a"`, "pre_call_checks", `no tokenizer "gpt-4o"`}},
		{"a cost that is negative", deployment(`,"cost":{"input":1,"output":2,"cached":-1}`), []string{`deployment "d"`, "cost", "negative"}},
		{"a key from a missing variable", deployment(`,"api_key":"sk-secret-{env.LLM_ROUTER_NO_SUCH}"`), []string{`deployment "d"`, "api_key", "{env.LLM_ROUTER_NO_SUCH}"}},
		{"a key from a missing variable beside one that is set", deployment(`,"api_key":"{env.LLM_ROUTER_TEST_KEY}{env.LLM_ROUTER_NO_SUCH}"`), []string{"api_key", "{env.LLM_ROUTER_NO_SUCH}"}},
		{"a key from a missing file", deployment(`,"api_key":"{file.testdata/no-such-file}"`), []string{"api_key", "{file.testdata/no-such-file}"}},
		{"a key header without a key", deployment(`,"api_key_header":"api-key"`), []string{"api_key_header without api_key"}},
		{"an unknown strategy", pool(`,"strategy":{"name":"fastest"}`), []string{`pool "a"`, "fastest"}},
		{"deadline negative", pool(`,"deadline":-1`), []string{`pool "a"`, "deadline", "negative"}},
		{"deadline of all pools negative", `"deadline":-1,` + pool(""), []string{"deadline", "negative"}},
		{"retries negative", pool(`,"retries":{"count":-1}`), []string{`pool "a"`, "retries", "negative"}},
		{"retries of an unknown class", pool(`,"retries":{"classes":{"bad_request":1}}`), []string{"retries", `"bad_request"`, "server_error"}},
		{"cooldown of more than all", pool(`,"cooldown":{"failure_rate":101}`), []string{"cooldown", "failure_rate", "101"}},
		{"cooldown that shrinks", pool(`,"cooldown":{"growth":0.5}`), []string{"cooldown", "growth"}},
		{"queue of a negative size", pool(`,"queue":{"size":-1}`), []string{`pool "a"`, "queue", "size", "negative"}},
		{"queue of a negative time", pool(`,"queue":{"timeout":-1}`), []string{`pool "a"`, "queue", "timeout", "negative"}},
		{"max_fallbacks negative", pool(`,"max_fallbacks":-1`), []string{"max_fallbacks", "negative"}},
		{"upstreams", proxy(`"upstreams":[{"dial":"h:80"}]`), []string{"upstreams", "base_url"}},
		{"load balancing", proxy(`"load_balancing":{"retries":1}`), []string{"load_balancing", "retries"}},
		{"handle_response", proxy(`"handle_response":[{}]`), []string{"handle_response"}},
		{"rewrite", proxy(`"rewrite":{"uri":"/x"}`), []string{"rewrite", "base_url"}},
		{"request buffers", proxy(`"request_buffers":1`), []string{"request_buffers", "max_body"}},
		{"flush interval", proxy(`"flush_interval":-1`), []string{"flush_interval"}},
		{"trusted proxies", proxy(`"trusted_proxies":["10.0.0.0/8"]`), []string{"trusted_proxies"}},
		{"passive health checks", proxy(`"health_checks":{"passive":{"max_fails":1}}`), []string{"passive", "cooldown"}},
		{"fastcgi", proxy(`"transport":{"protocol":"fastcgi"}`), []string{"fastcgi"}},
		{"an unknown transport", proxy(`"transport":{"protocol":"pigeon"}`), []string{`deployment "d"`, "pigeon"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := validateJSON(handlerConfig(tt.fields))
			if err == nil {
				t.Fatalf("got no error, want one with %q", tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("got %q, which shows a secret", err)
			}
		})
	}
}

// A default for all pools that names one of them is no fallback of that one to
// itself.
func TestDefaultFallbackMayNameEveryPool(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, field := range []string{"fallback", "default_fallback", "context_window_fallback", "content_policy_fallback"} {
		fields := `"` + field + `":["a"],"pools":[{"name":"a","deployments":[{"id":"d","base_url":"http://h"}]},{"name":"b","deployments":[{"id":"d","base_url":"http://h"}]}]`
		if err := validateJSON(handlerConfig(fields)); err != nil {
			t.Errorf("%s: got %v, want it to be valid", field, err)
		}
	}
}

// FuzzCaddyfile looks for tokens that make the parser panic, and for values that
// it accepts and the JSON loses.
func FuzzCaddyfile(f *testing.F) {
	for _, g := range goldens(f) {
		if i := strings.Index(g.caddyfile, "\tllm_router"); i >= 0 {
			f.Add(g.caddyfile[i:])
		}
	}
	f.Fuzz(func(t *testing.T, input string) {
		tokens, err := caddyfile.Tokenize([]byte(input), "Caddyfile")
		if err != nil {
			return
		}
		h := new(llmrouter.Handler)
		if err := h.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
			return
		}
		want := marshalJSON(t, h)
		again := new(llmrouter.Handler)
		if err := json.Unmarshal(want, again); err != nil {
			t.Fatalf("reading %s: %v", want, err)
		}
		if got := marshalJSON(t, again); !bytes.Equal(got, want) {
			t.Errorf("got:\n%s\nwant:\n%s", got, want)
		}
	})
}
