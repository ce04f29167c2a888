package strategies

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/health"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func TestWeightedIsAGuestModule(t *testing.T) {
	info, err := caddy.GetModule("http.llm_router.strategies.weighted")
	if err != nil {
		t.Fatal(err)
	}
	strategy, ok := info.New().(selection.Strategy)
	if !ok {
		t.Fatalf("%T cannot pick", info.New())
	}
	standby := &selection.Candidate{ID: "standby", State: new(selection.State), Cooldown: health.New(nil)}
	only := &selection.Candidate{ID: "only", Weight: 1, State: new(selection.State), Cooldown: health.New(nil)}
	for range 100 {
		if got := strategy.Pick(&selection.Query{Now: time.Now()}, []*selection.Candidate{standby, only}); got != only {
			t.Fatalf("got %s, want the only one with a weight", got.ID)
		}
	}
}

func TestWeightedHasNoOptions(t *testing.T) {
	for text, ok := range map[string]bool{"weighted": true, "weighted fast": false, "weighted {\n\tbuffer 1\n}": false} {
		err := new(Weighted).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if (err == nil) != ok {
			t.Errorf("%q: got the error %v, want one: %v", text, err, !ok)
		}
	}
}
