package litellm_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// tokens are what mutated configs are made of besides their own lines.
var tokens = []string{
	"null", "~", "[]", "{}", "-1", "0", "1e400", ".nan", "0x10", "true", "'*'", "\"\"", "*a", "&a ", "<<: ", "!!binary x", "? ",
	"os.environ/", "os.environ/X", "{env.X}", "\\{", "http://", "://", "%zz", "\n", "\t", ": ", "- ", "litellm_params", "{a: b}", "[[a]]",
}

// Whatever becomes of a config, there is JSON or an error. The mutations keep
// most of a config, so that they reach what lies behind the YAML parser.
func TestMutatedConfigsNeverPanic(t *testing.T) {
	adapter := caddyconfig.GetAdapter("litellm")
	random := rand.New(rand.NewPCG(1, 2))
	configs := goldens(t)
	rounds := 400
	if testing.Short() {
		rounds = 40
	}
	adaptedOnes := 0
	for name, config := range configs {
		for range rounds {
			mutated := mutate(random, config)
			adapted, _, err := adapter.Adapt([]byte(mutated), nil)
			switch {
			case err == nil && !json.Valid(adapted):
				t.Fatalf("%s: got %q, want JSON, for:\n%s", name, adapted, mutated)
			case err != nil && adapted != nil:
				t.Fatalf("%s: got %s beside error %v", name, adapted, err)
			case err == nil:
				adaptedOnes++
			}
		}
	}
	if total := rounds * len(configs); adaptedOnes == 0 || adaptedOnes == total {
		t.Errorf("got %d of %d mutated configs adapted, want some of them", adaptedOnes, total)
	}
}

// mutate changes a few places of a config: values, whole lines, single tokens.
func mutate(random *rand.Rand, config string) string {
	lines := strings.Split(config, "\n")
	for range 1 + random.IntN(3) {
		i := random.IntN(len(lines))
		token := tokens[random.IntN(len(tokens))]
		switch random.IntN(5) {
		case 0: // another value
			if key, _, ok := strings.Cut(lines[i], ": "); ok {
				lines[i] = key + ": " + token
			}
		case 1: // a line less
			lines[i] = ""
		case 2: // a line twice
			lines[i] += "\n" + lines[random.IntN(len(lines))]
		case 3: // a token somewhere
			at := random.IntN(len(lines[i]) + 1)
			lines[i] = lines[i][:at] + token + lines[i][at:]
		case 4: // a value inside a flow mapping
			parts := strings.Split(lines[i], ", ")
			j := random.IntN(len(parts))
			if key, _, ok := strings.Cut(parts[j], ": "); ok {
				parts[j] = key + ": " + token
			}
			lines[i] = strings.Join(parts, ", ")
		}
	}
	return strings.Join(lines, "\n")
}
