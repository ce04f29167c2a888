package litellm_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/llmrouter/caddy-llm-router" // the handler and the app
	_ "github.com/llmrouter/caddy-llm-router/internal/litellm"
)

var update = flag.Bool("update", false, "write the .json and .warnings files of testdata anew")

// The variables that the adapter looks at are those that a test sets, not those
// of whoever runs it.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		for _, end := range []string{"_KEY", "_BASE", "_TOKEN", "PORT"} {
			if strings.HasSuffix(name, end) || strings.HasPrefix(name, "REDIS_") {
				os.Unsetenv(name)
			}
		}
	}
	os.Exit(m.Run())
}

// adapt runs the adapter as Caddy does.
func adapt(t testing.TB, file, config string) (adapted []byte, warnings []caddyconfig.Warning, err error) {
	t.Helper()
	adapter := caddyconfig.GetAdapter("litellm")
	if adapter == nil {
		t.Fatal("there is no adapter litellm")
	}
	return adapter.Adapt([]byte(config), map[string]any{"filename": file})
}

// goldens are the configs of testdata by name.
func goldens(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) < 15 {
		t.Fatalf("got %d configs and error %v, want at least 15", len(paths), err)
	}
	configs := make(map[string]string)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		configs[strings.TrimSuffix(filepath.Base(path), ".yaml")] = string(content)
	}
	return configs
}

func indent(t testing.TB, adapted []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, adapted, "", "\t"); err != nil {
		t.Fatalf("got JSON %q: %v", adapted, err)
	}
	return out.String() + "\n"
}

func listWarnings(warnings []caddyconfig.Warning) string {
	var out strings.Builder
	for _, w := range warnings {
		fmt.Fprintf(&out, "%s:%d: %s\n", w.File, w.Line, w.Message)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	for name, config := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			adapted, warnings, err := adapt(t, name+".yaml", config)
			if err != nil {
				t.Fatal(err)
			}
			for ext, got := range map[string]string{".json": indent(t, adapted), ".warnings": listWarnings(warnings)} {
				path := filepath.Join("testdata", name+ext)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got != string(want) {
					t.Errorf("%s: got:\n%s\nwant:\n%s", path, got, want)
				}
			}
		})
	}
}

var environment = regexp.MustCompile(`\{env\.(\w+)\}`)

// setVariables gives every variable that a config takes something from a value
// that it can use.
func setVariables(t testing.TB, adapted []byte) {
	t.Helper()
	for _, m := range environment.FindAllSubmatch(adapted, -1) {
		name := string(m[1])
		switch {
		case name == "MODEL_HOST":
			t.Setenv(name, "gpu-7")
		case name == "REDIS_URL":
			t.Setenv(name, "redis://:p%40ss@redis:6379/1")
		case name == "REDIS_PORT", name == "REDIS_DB":
			t.Setenv(name, "7")
		case strings.Contains(name, "BASE"), strings.HasSuffix(name, "_URL"):
			t.Setenv(name, "https://example.com")
		default:
			t.Setenv(name, "value-of-"+name)
		}
	}
}

func TestAdaptedConfigsLoad(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for name, config := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			adapted, _, err := adapt(t, name+".yaml", config)
			if err != nil {
				t.Fatal(err)
			}
			setVariables(t, adapted)
			var cfg caddy.Config
			if err := caddy.StrictUnmarshalJSON(adapted, &cfg); err != nil {
				t.Fatal(err)
			}
			cfg.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}}
			cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
				"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output":"discard"}`)}},
			}}
			if err := caddy.Validate(&cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same config gives the same bytes, so that a reload sees that nothing has
// changed.
func TestAdaptingIsDeterministic(t *testing.T) {
	for name, config := range goldens(t) {
		first, _, err := adapt(t, name, config)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if again, _, _ := adapt(t, name, config); !bytes.Equal(first, again) {
				t.Fatalf("%s: got %s, then %s", name, first, again)
			}
		}
	}
}

// A key that is nowhere in the adapted config is in a warning: nothing is
// dropped in silence.
func TestEveryUnknownKeyIsNamed(t *testing.T) {
	_, warnings, err := adapt(t, "production.yaml", goldens(t)["production"])
	if err != nil {
		t.Fatal(err)
	}
	text := listWarnings(warnings)
	for _, path := range []string{
		"unheard_of", "model_list[0].model_info.unheard_of", "model_list[1].litellm_params.unheard_of",
		"model_list[2].unheard_of", "router_settings.unheard_of", "litellm_settings.unheard_of", "general_settings.unheard_of",
	} {
		if !strings.Contains(text, ": "+path+": is not a key that is known here") {
			t.Errorf("got no warning about %s in:\n%s", path, text)
		}
	}
}

func TestWarningsNameTheLineOfTheirKey(t *testing.T) {
	for name, config := range goldens(t) {
		_, warnings, err := adapt(t, name+".yaml", config)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(config, "\n")
		for _, w := range warnings {
			path, _, _ := strings.Cut(w.Message, ": ")
			key := path[strings.LastIndexByte(path, '.')+1:]
			key, _, _ = strings.Cut(key, "[")
			if w.Line < 1 || w.Line > len(lines) || w.File != name+".yaml" {
				t.Errorf("%s: got file %q and line %d for %q", name, w.File, w.Line, w.Message)
			} else if strings.Contains(path, ".") && !strings.HasSuffix(path, "]") && !strings.Contains(lines[w.Line-1], key) {
				t.Errorf("%s:%d: got line %q for %q", name, w.Line, lines[w.Line-1], w.Message)
			}
		}
	}
}

func TestSecretsAreNotInWarnings(t *testing.T) {
	_, warnings, err := adapt(t, "secrets.yaml", goldens(t)["secrets"])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"{literal}", "gsk-literal", "sk-1234", "shh"} {
		if text := listWarnings(warnings); strings.Contains(text, secret) {
			t.Errorf("got %q in:\n%s", secret, text)
		}
	}
}

func TestSupportedConfigsHaveNoWarnings(t *testing.T) {
	for _, name := range []string{"failover_demo", "minimal", "weights_and_orders", "weighted_failover", "providers", "azure", "redis", "prices"} {
		if _, warnings, _ := adapt(t, name, goldens(t)[name]); len(warnings) != 0 {
			t.Errorf("%s: got warnings %v, want none", name, warnings)
		}
	}
}

// adaptWithPort is adapt with the PORT of the environment.
func adaptWithPort(config string) ([]byte, []caddyconfig.Warning, error) {
	return caddyconfig.GetAdapter("litellm").Adapt([]byte(config), nil)
}
