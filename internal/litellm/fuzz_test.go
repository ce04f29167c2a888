package litellm_test

import (
	"encoding/json"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// Whatever the config, there is JSON or an error.
func FuzzAdapt(f *testing.F) {
	for _, config := range goldens(f) {
		f.Add([]byte(config))
	}
	f.Add([]byte("model_list: [{model_name: a, litellm_params: {<<: [*x, {model: b}]}}]"))
	f.Add([]byte("x: &x {<<: *x}\nmodel_list: *x"))
	adapter := caddyconfig.GetAdapter("litellm")
	f.Fuzz(func(t *testing.T, config []byte) {
		adapted, _, err := adapter.Adapt(config, nil)
		switch {
		case err != nil && adapted != nil:
			t.Errorf("got %s and error %v, want one of them", adapted, err)
		case err == nil && !json.Valid(adapted):
			t.Errorf("got %q, want JSON", adapted)
		}
	})
}
