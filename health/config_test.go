package health

import (
	"math"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// config is the default with changes.
func config(changes ...func(*Config)) *Config {
	cfg := DefaultConfig()
	for _, change := range changes {
		change(cfg)
	}
	return cfg
}

func TestDefaultConfigIsTheDocumentedOne(t *testing.T) {
	cfg := DefaultConfig()
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"off", cfg.Off, false},
		{"duration", cfg.Duration, 5 * time.Second},
		{"window", cfg.Window, time.Minute},
		{"failure rate", cfg.FailureRate, 0.5},
		{"min requests", cfg.MinRequests, 5},
		{"allowed fails", cfg.AllowedFails, -1},
		{"max", cfg.Max, 5 * time.Minute},
		{"growth", cfg.Growth, 2.0},
		{"growth max", cfg.GrowthMax, 30 * time.Second},
		{"slow start", cfg.SlowStart, time.Duration(0)},
		{"probe timeout", cfg.ProbeTimeout, 2 * time.Minute},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	for class, n := range cfg.ClassAllowed {
		if n != -1 {
			t.Errorf("allowed fails of %v: got %d, want -1", retry.Class(class), n)
		}
	}
}

func TestNormalizedRepairsWhatCannotBeUsed(t *testing.T) {
	t.Run("nil is the default", func(t *testing.T) {
		if got, want := *(*Config)(nil).normalized(), *DefaultConfig(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("a good one stays as it is", func(t *testing.T) {
		cfg := config(func(c *Config) { c.Duration, c.GrowthMax, c.AllowedFails = time.Second, time.Hour, 0 })
		if got := *cfg.normalized(); got != *cfg {
			t.Errorf("got %+v, want %+v", got, *cfg)
		}
	})
	t.Run("durations that are not positive are the default", func(t *testing.T) {
		got := config(func(c *Config) { c.Duration, c.Window, c.Max, c.ProbeTimeout = 0, -1, 0, -5 }).normalized()
		if want := DefaultConfig(); *got != *want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
	t.Run("growth never shrinks", func(t *testing.T) {
		for _, growth := range []float64{0, -3, 0.5, math.NaN(), math.Inf(-1)} {
			if got := config(func(c *Config) { c.Growth = growth }).normalized().Growth; got != 1 {
				t.Errorf("growth %v: got %v, want 1", growth, got)
			}
		}
	})
	t.Run("growth is not bounded below the duration", func(t *testing.T) {
		got := config(func(c *Config) { c.Duration = time.Minute }).normalized().GrowthMax
		if got != time.Minute {
			t.Errorf("got %v, want 1m", got)
		}
	})
}

func TestConfigIsCopied(t *testing.T) {
	cfg := DefaultConfig()
	c := New(cfg)
	cfg.Off = true
	if effect := fail(c, t0, retry.Auth); !effect.Cooled {
		t.Error("a later change of the caller's configuration took effect")
	}
}
