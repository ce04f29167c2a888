package health

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestRateCools(t *testing.T) {
	const ok, e500 = retry.None, retry.ServerError
	tests := []struct {
		name     string
		outcomes map[retry.Class]int // all successes first
		want     bool
	}{
		{"one 500", map[retry.Class]int{e500: 1}, false},
		{"four 500", map[retry.Class]int{e500: 4}, false},
		{"five 500", map[retry.Class]int{e500: 5}, true},
		{"exactly half", map[retry.Class]int{ok: 5, e500: 5}, false},
		{"more than half", map[retry.Class]int{ok: 5, e500: 6}, true},
		{"one 408", map[retry.Class]int{retry.Timeout: 1}, false},
		{"five timeouts", map[retry.Class]int{retry.Timeout: 5}, true},
		{"five refused connections", map[retry.Class]int{retry.Connection: 5}, true},
		{"five overloads", map[retry.Class]int{retry.Overloaded: 5}, true},
		{"five of several classes", map[retry.Class]int{retry.Connection: 1, retry.Timeout: 1, retry.Overloaded: 2, e500: 1}, true},
		{"five among many good ones", map[retry.Class]int{ok: 1000, e500: 5}, false},
		{"bad requests are no requests", map[retry.Class]int{retry.BadRequest: 100, e500: 5}, true},
		{"bad requests are no failures", map[retry.Class]int{ok: 3, retry.BadRequest: 100, e500: 2}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(nil)
			for class := range retry.NumClasses {
				for range tt.outcomes[class] {
					if !c.Usable(t0) {
						t.Fatalf("cooled before the last failure; counts %+v", c.Counts(t0))
					}
					if class == ok {
						succeed(c, t0)
					} else if class != e500 {
						fail(c, t0, class)
					}
				}
			}
			var last Effect
			for range tt.outcomes[e500] {
				last = fail(c, t0, e500)
			}
			if got := !c.Usable(t0); got != tt.want {
				t.Fatalf("cooled: got %v, want %v", got, tt.want)
			}
			if tt.outcomes[e500] == 0 {
				return
			}
			if want := (Effect{Cooled: tt.want, For: c.Remaining(t0)}); last != want {
				t.Errorf("effect of the last: got %+v, want %+v", last, want)
			}
			if tt.want {
				wantCooling(t, c, t0, 5*time.Second, e500)
			}
		})
	}
}

func TestRateThresholdIsExact(t *testing.T) {
	// 0.29 * 100 is below 29 in floating point.
	for _, tt := range []struct {
		rate   float64
		failed int
		of     int
	}{{0.29, 29, 100}, {0.57, 57, 100}, {0.1, 3, 30}, {0.7, 7, 10}, {1, 10, 10}} {
		cfg := config(func(c *Config) { c.FailureRate = tt.rate })
		var at, above Counts
		at.Successes, at.Failures[retry.ServerError] = tt.of-tt.failed, tt.failed
		above.Successes, above.Failures[retry.ServerError] = tt.of-tt.failed, tt.failed+1
		if cfg.exceeded(retry.ServerError, at) {
			t.Errorf("%d of %d exceeds %v", tt.failed, tt.of, tt.rate)
		}
		if got, want := cfg.exceeded(retry.ServerError, above), tt.rate < 1; got != want {
			t.Errorf("one more than %d of %d exceeds %v: got %v, want %v", tt.failed, tt.of, tt.rate, got, want)
		}
	}
}

func TestRateLooksAtTheWindowOnly(t *testing.T) {
	c := New(nil)
	for range 4 {
		fail(c, t0, retry.ServerError)
	}
	if effect := fail(c, t0.Add(time.Minute), retry.ServerError); effect.Cooled {
		t.Error("four failures of a minute ago still count")
	}

	c = New(nil)
	for range 100 {
		succeed(c, t0)
	}
	var effect Effect
	for range 5 {
		effect = fail(c, t0.Add(time.Minute), retry.ServerError)
	}
	if !effect.Cooled {
		t.Error("successes of a minute ago still count")
	}
}

func TestAllowedFails(t *testing.T) {
	for _, allowed := range []int{0, 1, 2, 3, 10} {
		c := New(config(func(c *Config) { c.AllowedFails = allowed }))
		for range 1000 { // the rate no longer matters
			succeed(c, t0)
		}
		for i := range allowed {
			if effect := fail(c, t0, retry.ServerError); effect.Cooled {
				t.Fatalf("allowed %d: cooled by failure %d", allowed, i+1)
			}
		}
		if effect := fail(c, t0, retry.Timeout); !effect.Cooled {
			t.Errorf("allowed %d: not cooled by failure %d", allowed, allowed+1)
		}
	}
}

func TestClassAllowed(t *testing.T) {
	allow := func(class retry.Class, n int) *Config {
		return config(func(c *Config) { c.ClassAllowed[class] = n })
	}
	t.Run("counts alone for a class that else goes by the rate", func(t *testing.T) {
		c := New(allow(retry.Timeout, 1))
		for range 1000 {
			succeed(c, t0)
		}
		if fail(c, t0, retry.Timeout).Cooled {
			t.Error("cooled by the first")
		}
		if !fail(c, t0, retry.Timeout).Cooled {
			t.Error("not cooled by the second")
		}
	})
	t.Run("is no part of the rate", func(t *testing.T) {
		c := New(allow(retry.Timeout, 100))
		for range 50 {
			fail(c, t0, retry.Timeout)
		}
		for i := range 4 {
			if fail(c, t0, retry.ServerError).Cooled {
				t.Fatalf("cooled by server error %d", i+1)
			}
		}
		if !fail(c, t0, retry.ServerError).Cooled {
			t.Error("not cooled by the fifth server error")
		}
	})
	for _, class := range []retry.Class{retry.RateLimit, retry.Quota, retry.Auth, retry.NotFound} {
		t.Run("keeps "+class.String()+" from cooling at once", func(t *testing.T) {
			c := New(allow(class, 2))
			for i := range 2 {
				if fail(c, t0, class).Cooled {
					t.Fatalf("cooled by failure %d", i+1)
				}
			}
			want := 5 * time.Second
			if class == retry.Quota {
				want = 5 * time.Minute
			}
			if got := fail(c, t0, class); got != (Effect{Cooled: true, For: want}) {
				t.Errorf("third: got %+v, want cooled for %v", got, want)
			}
		})
	}
	t.Run("keeps a stated wait until the count is exceeded", func(t *testing.T) {
		c := New(allow(retry.RateLimit, 1))
		if fail := failWith(c, t0, stated(retry.RateLimit, 20*time.Second)); fail.Cooled {
			t.Error("cooled by the first")
		}
		failWith(c, t0, stated(retry.RateLimit, 20*time.Second))
		wantCooling(t, c, t0, 20*time.Second, retry.RateLimit)
	})
	t.Run("never makes a client's mistake cool", func(t *testing.T) {
		c := New(allow(retry.BadRequest, 0))
		fail(c, t0, retry.BadRequest)
		wantUsable(t, c, t0)
	})
}

func TestAtOnce(t *testing.T) {
	const day = 24 * time.Hour
	tests := []struct {
		name    string
		failure Failure
		want    time.Duration
	}{
		{"429", Failure{Class: retry.RateLimit}, 5 * time.Second},
		{"429 with a shorter wait", stated(retry.RateLimit, time.Second), time.Second},
		{"429 with a longer wait", stated(retry.RateLimit, time.Minute), time.Minute},
		{"429 with an absurd wait", stated(retry.RateLimit, day), 5 * time.Minute},
		{"429 with a wait of nothing", stated(retry.RateLimit, 0), 5 * time.Second},
		{"429 with a negative wait", stated(retry.RateLimit, -time.Hour), 5 * time.Second},
		{"429 with a guessed wait", Failure{Class: retry.RateLimit, Wait: time.Minute}, 5 * time.Second},
		{"quota", Failure{Class: retry.Quota}, 5 * time.Minute},
		{"quota with a short wait", stated(retry.Quota, time.Second), 5 * time.Minute},
		{"401", Failure{Class: retry.Auth}, 5 * time.Second},
		{"401 with a longer wait", stated(retry.Auth, 7*time.Second), 7 * time.Second},
		{"401 with a shorter wait", stated(retry.Auth, time.Second), 5 * time.Second},
		{"404", Failure{Class: retry.NotFound}, 5 * time.Second},
		{"503 with a wait", stated(retry.Overloaded, 3*time.Second), 3 * time.Second},
		{"503 with an absurd wait", stated(retry.Overloaded, day), 5 * time.Minute},
		{"500 with a wait", stated(retry.ServerError, 2*time.Second), 2 * time.Second},
		{"503 with a wait of nothing", stated(retry.Overloaded, 0), 0},
		{"400", stated(retry.BadRequest, time.Minute), 0},
		{"context window", stated(retry.ContextWindow, time.Minute), 0},
		{"content policy", stated(retry.ContentPolicy, time.Minute), 0},
		{"the client's own key", stated(retry.ClientAuth, time.Minute), 0},
		{"canceled", stated(retry.Canceled, time.Minute), 0},
		{"no failure", stated(retry.None, time.Minute), 0},
		{"no class that exists", stated(retry.Class(200), time.Minute), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(nil)
			for range 100 { // at once whatever the rate
				succeed(c, t0)
			}
			got := failWith(c, t0, tt.failure)
			if want := (Effect{Cooled: tt.want > 0, For: tt.want}); got != want {
				t.Errorf("effect: got %+v, want %+v", got, want)
			}
			if tt.want > 0 {
				wantCooling(t, c, t0, tt.want, tt.failure.Class)
			} else {
				wantUsable(t, c, t0)
			}
		})
	}
}

func TestStatedWaitAndRateTogetherTakeTheLonger(t *testing.T) {
	c := New(nil)
	for range 4 {
		fail(c, t0, retry.Overloaded)
	}
	failWith(c, t0, stated(retry.Overloaded, time.Second))
	wantCooling(t, c, t0, 5*time.Second, retry.Overloaded)
}

func TestQuotaIsNeverTheShorter(t *testing.T) {
	c := New(config(func(c *Config) { c.Duration, c.Max = time.Minute, time.Second }))
	fail(c, t0, retry.Quota)
	wantCooling(t, c, t0, time.Minute, retry.Quota)
}

func TestMistakesOfClientsNeverCool(t *testing.T) {
	for _, class := range []retry.Class{retry.ClientAuth, retry.ContextWindow, retry.ContentPolicy, retry.BadRequest, retry.Canceled} {
		c := New(config(func(c *Config) { c.AllowedFails = 0 }))
		for range 1000 {
			if fail(c, t0, class).Cooled {
				t.Fatalf("%v cooled", class)
			}
		}
		if got := c.Counts(t0); got != (Counts{}) {
			t.Errorf("%v was counted: %+v", class, got)
		}
	}
}

func TestSpare(t *testing.T) {
	tests := []struct {
		name    string
		failure Failure
		want    time.Duration
		asked   int
	}{
		{"rate", Failure{Class: retry.ServerError}, 0, 1},
		{"429 without a wait", Failure{Class: retry.RateLimit}, 0, 1},
		{"429 with a wait", stated(retry.RateLimit, 9*time.Second), 9 * time.Second, 0},
		{"503 with a wait longer than the rate's", stated(retry.Overloaded, 9*time.Second), 9 * time.Second, 0},
		{"503 with a wait shorter than the rate's", stated(retry.Overloaded, time.Second), time.Second, 1},
		{"quota", Failure{Class: retry.Quota}, 5 * time.Minute, 0},
		{"bad key", Failure{Class: retry.Auth}, 5 * time.Second, 0},
		{"unknown model", Failure{Class: retry.NotFound}, 5 * time.Second, 0},
		{"bad request", Failure{Class: retry.BadRequest}, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(config(func(c *Config) { c.AllowedFails = 0 }))
			asked := 0
			tt.failure.Spare = func() bool { asked++; return false }
			got := failWith(c, t0, tt.failure)
			if want := (Effect{Cooled: tt.want > 0, For: tt.want}); got != want {
				t.Errorf("effect: got %+v, want %+v", got, want)
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
		})
	}
	t.Run("is not asked while the rate holds", func(t *testing.T) {
		c := New(nil)
		failWith(c, t0, Failure{Class: retry.ServerError, Spare: func() bool { t.Error("asked"); return true }})
	})
	t.Run("may read the deployment itself", func(t *testing.T) {
		c := New(nil)
		effect := failWith(c, t0, Failure{Class: retry.RateLimit, Spare: func() bool {
			return c.Usable(t0) && c.State(t0) == Usable && c.Remaining(t0) == 0
		}})
		if !effect.Cooled {
			t.Error("not cooled")
		}
	})
	t.Run("failures are remembered until there is one", func(t *testing.T) {
		c := New(nil)
		for range 20 {
			failWith(c, t0, Failure{Class: retry.ServerError, Spare: notSpare})
		}
		if !fail(c, t0, retry.ServerError).Cooled {
			t.Error("not cooled although another deployment is back")
		}
	})
	t.Run("a panic leaves no lock behind", func(t *testing.T) {
		c := New(nil)
		func() {
			defer func() { _ = recover() }()
			failWith(c, t0, Failure{Class: retry.RateLimit, Spare: func() bool { panic("spare") }})
		}()
		if !fail(c, t0, retry.Auth).Cooled {
			t.Error("not cooled")
		}
	})
}
