package upstreams

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

func TestHedgeReachesTheEngine(t *testing.T) {
	const second = caddy.Duration(time.Second)
	for _, test := range []struct {
		name  string
		hedge *Hedge
		want  engine.HedgePolicy
	}{
		{"none", nil, engine.HedgePolicy{}},
		{"off", &Hedge{Off: true}, engine.HedgePolicy{}},
		{"a fixed time", &Hedge{After: second}, engine.HedgePolicy{After: time.Second, Max: 1}},
		{"a percentile", &Hedge{Percentile: 95, Max: 3}, engine.HedgePolicy{Percentile: 95, Max: 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := Policy{Hedge: test.hedge}
			if err := p.validate(); err != nil {
				t.Fatal(err)
			}
			if got := p.engine().Hedge; got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestHedgeValidateRefuses(t *testing.T) {
	const second = caddy.Duration(time.Second)
	for name, h := range map[string]Hedge{
		"nothing":                 {},
		"a number alone":          {Max: 1},
		"both":                    {After: second, Percentile: 95},
		"off and a time":          {Off: true, After: second},
		"off and a percentile":    {Off: true, Percentile: 95},
		"off and a number":        {Off: true, Max: 1},
		"a negative time":         {After: -second},
		"a negative number":       {After: second, Max: -1},
		"a percentile of nothing": {Percentile: 49},
		"a percentile of all":     {Percentile: 100},
	} {
		t.Run(name, func(t *testing.T) {
			if (&Policy{Hedge: &h}).validate() == nil {
				t.Errorf("got no error for %+v, want one", h)
			}
		})
	}
}
