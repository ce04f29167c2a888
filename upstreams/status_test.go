package upstreams

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/queue"
	"github.com/llmrouter/caddy-llm-router/internal/status"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// barePool is a pool of one deployment, made without Caddy.
func barePool(set func(*Deployment)) *Pool {
	d := &Deployment{ID: "a", candidate: selection.NewCandidate("a", new(selection.State))}
	set(d)
	d.candidate.Limiter = d.candidate.Minute.Limit(d.RPM, d.TPM)
	return &Pool{Name: "p", Deployments: []*Deployment{d}, engine: engine.NewPool("p", []*selection.Candidate{d.candidate})}
}

func TestStatusState(t *testing.T) {
	cool := func(class retry.Class) func(*Deployment) {
		return func(d *Deployment) { d.candidate.Cooldown.Cool(time.Now(), class, 1500*time.Microsecond) }
	}
	for _, tt := range []struct {
		name   string
		set    func(*Deployment)
		state  status.State
		reason string
		left   int64
	}{
		{"nothing is the matter", func(*Deployment) {}, status.Healthy, "", 0},
		{"a failure", cool(retry.Quota), status.Cooling, "quota", 2},
		{"somebody's wish", cool(retry.None), status.Cooling, "imposed", 2},
		{"checks come before cooldowns", func(d *Deployment) {
			d.candidate.Healthy = func() bool { return false }
			cool(retry.Quota)(d)
		}, status.Unhealthy, "", 0},
		{"both limits", func(d *Deployment) {
			d.RPM, d.TPM = 1, 1
			d.candidate.Minute.Limit(1, 1).Reserve(time.Now(), 5)
		}, status.Limited, "rpm", 0},
		{"tokens, where an answer as long as usual does not fit", func(d *Deployment) {
			d.TPM = 100
			d.candidate.Output.Add(60)
			d.candidate.Minute.Limit(0, 100).Reserve(time.Now(), 50)
		}, status.Limited, "tpm", 0},
		{"the provider's limit, none of ours", func(d *Deployment) {
			left := retry.Headroom{Requests: retry.Left{Known: true, Limit: 10, Reset: time.Minute}}
			d.candidate.Headroom.Believe(time.Now(), selection.Mark{}, left)
		}, status.Limited, "provider", 0},
		{"limits come before places", func(d *Deployment) {
			d.RPM, d.candidate.MaxParallel = 1, 1
			d.candidate.Minute.Limit(1, 0).Reserve(time.Now(), 5)
			d.candidate.Acquire()
		}, status.Limited, "rpm", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := barePool(tt.set).Status(time.Now()).Deployments[0]
				if got.State != tt.state || got.Reason != tt.reason || got.CooldownRemainingMS != tt.left {
					t.Errorf("got %s (%s) for %d ms, want %s (%s) for %d ms",
						got.State, got.Reason, got.CooldownRemainingMS, tt.state, tt.reason, tt.left)
				}
			})
		})
	}
}

func TestStatusCountsWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := barePool(func(*Deployment) {})
		for range 2 {
			go p.engine.Queue.Wait(t.Context(), queue.Entry{
				Size: 5, Timeout: time.Minute,
				Take: func() bool { return false },
				Next: func(time.Time) (time.Duration, bool) { return 0, true },
			})
		}
		synctest.Wait()
		if got := p.Status(time.Now()); got.QueueDepth != 2 || got.Queue != any(p.engine.Queue) {
			t.Errorf("got %d that wait in %p, want 2 in the pool's own queue", got.QueueDepth, got.Queue)
		}
		time.Sleep(2 * time.Minute)
		if got := p.Status(time.Now()).QueueDepth; got != 0 {
			t.Errorf("got %d that wait after their time, want 0", got)
		}
	})
}

func TestStatusNamesTheStrategy(t *testing.T) {
	for raw, want := range map[string]string{"": "weighted", `{"name":"least_busy"}`: "least_busy", `{"name":"x","y":1}`: "x"} {
		p := barePool(func(*Deployment) {})
		p.effective.StrategyRaw = json.RawMessage(raw)
		if got := p.Status(time.Now()).Strategy; got != want {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

// The weight is what counts: where no deployment has one, that is something else.
func TestStatusWeight(t *testing.T) {
	p := barePool(func(d *Deployment) { d.candidate.RPM = 600 })
	if got := p.Status(time.Now()).Deployments[0].Weight; got != 600 {
		t.Errorf("got %v, want the 600 requests per minute", got)
	}
}

// A cost of 0 is known; where there is no price, there is no cost.
func TestStatusCost(t *testing.T) {
	for name, tt := range map[string]struct {
		price *selection.Price
		want  *float64
	}{
		"a price":         {&selection.Price{Input: 0.1, Output: 0.2}, new(0.000003)},
		"a price of zero": {new(selection.Price), new(0.0)},
		"no price":        {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := barePool(func(d *Deployment) { d.candidate.Price = tt.price })
			p.Deployments[0].candidate.Billed(10, 0, 10)
			got := p.Status(time.Now()).Deployments[0].Cost
			if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
