package upstreams

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func ptr[T any](v T) *T { return &v }

func TestPolicyOver(t *testing.T) {
	second, minute := caddy.Duration(time.Second), caddy.Duration(time.Minute)
	tests := []struct {
		name                 string
		pool, defaults, want Policy
	}{
		{"nothing over nothing", Policy{}, Policy{}, Policy{}},
		{"everything from the defaults", Policy{}, Policy{Failover: ptr(false), Deadline: minute}, Policy{Failover: ptr(false), Deadline: minute}},
		{"everything of the pool's own", Policy{Failover: ptr(false), Deadline: minute}, Policy{}, Policy{Failover: ptr(false), Deadline: minute}},
		{"a pool turns on what the default turns off", Policy{Failover: ptr(true)}, Policy{Failover: ptr(false)}, Policy{Failover: ptr(true)}},
		{"a pool turns off what the default turns on", Policy{Resume: ptr(false)}, Policy{Resume: ptr(true)}, Policy{Resume: ptr(false)}},
		{"a pool's zero holds", Policy{MaxFallbacks: ptr(0)}, Policy{MaxFallbacks: ptr(3)}, Policy{MaxFallbacks: ptr(0)}},
		{"fields one by one", Policy{Timeout: second}, Policy{Deadline: minute, Timeout: minute}, Policy{Deadline: minute, Timeout: second}},
		{"lists whole", Policy{Fallback: []string{"a"}}, Policy{Fallback: []string{"b", "c"}}, Policy{Fallback: []string{"a"}}},
		{"an empty list is a list", Policy{Fallback: []string{}}, Policy{Fallback: []string{"b"}}, Policy{Fallback: []string{}}},
		{
			"the strategy whole",
			Policy{StrategyRaw: json.RawMessage(`{"name":"a"}`)},
			Policy{StrategyRaw: json.RawMessage(`{"name":"b","x":1}`)},
			Policy{StrategyRaw: json.RawMessage(`{"name":"a"}`)},
		},
		{
			"inside retries",
			Policy{Retries: &Retries{Count: ptr(0), Classes: map[string]int{"timeout": 1}}},
			Policy{Retries: &Retries{Count: ptr(5), MaxWait: minute, Classes: map[string]int{"timeout": 3, "overloaded": 4}}},
			Policy{Retries: &Retries{Count: ptr(0), MaxWait: minute, Classes: map[string]int{"timeout": 1, "overloaded": 4}}},
		},
		{
			"inside cooldown",
			Policy{Cooldown: &Cooldown{Duration: second}},
			Policy{Cooldown: &Cooldown{Duration: minute, Window: minute, FailureRate: ptr(10.0)}},
			Policy{Cooldown: &Cooldown{Duration: second, Window: minute, FailureRate: ptr(10.0)}},
		},
		{"the queue whole", Policy{Queue: &Queue{Size: 5}}, Policy{Queue: &Queue{Size: 9, Timeout: minute}}, Policy{Queue: &Queue{Size: 5}}},
		{"a queue over none", Policy{Queue: &Queue{Size: 5}}, Policy{Queue: &Queue{Off: true}}, Policy{Queue: &Queue{Size: 5}}},
		{"the affinity whole", Policy{Affinity: &Affinity{By: []string{"auto"}}}, Policy{Affinity: &Affinity{By: []string{"prompt"}, TTL: minute}}, Policy{Affinity: &Affinity{By: []string{"auto"}}}},
		{"no affinity over one", Policy{Affinity: &Affinity{Off: true}}, Policy{Affinity: &Affinity{By: []string{"auto"}}}, Policy{Affinity: &Affinity{Off: true}}},
		{"the hedge whole", Policy{Hedge: &Hedge{Percentile: 95}}, Policy{Hedge: &Hedge{After: second, Max: 2}}, Policy{Hedge: &Hedge{Percentile: 95}}},
		{"no hedge over one", Policy{Hedge: &Hedge{Off: true}}, Policy{Hedge: &Hedge{After: second}}, Policy{Hedge: &Hedge{Off: true}}},
		{"no queue over one", Policy{Queue: &Queue{Off: true}}, Policy{Queue: &Queue{Size: 9}}, Policy{Queue: &Queue{Off: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pool, defaults := clonePolicy(t, tt.pool), clonePolicy(t, tt.defaults)
			got := tt.pool.Over(tt.defaults)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %s, want %s", show(t, got), show(t, tt.want))
			}
			if show(t, tt.pool) != show(t, pool) || show(t, tt.defaults) != show(t, defaults) {
				t.Error("the pool's policy or the defaults were changed")
			}
		})
	}
}

// `cooldown 10s` in a pool must win over `cooldown off` in the router: what is
// written in the pool is what is meant.
func TestPolicyCooldownOfThePoolOverOff(t *testing.T) {
	pool := Policy{Cooldown: &Cooldown{Duration: caddy.Duration(10 * time.Second)}}
	defaults := Policy{Cooldown: &Cooldown{Off: true}}
	effective := pool.Over(defaults)
	if effective.Cooldown.engine(0).Off {
		t.Error("a pool with a cooldown of its own has none, because the default is off")
	}
}

// Every field is inherited, also one that is added later.
func TestPolicyOverInheritsEveryField(t *testing.T) {
	var defaults Policy
	fill(t, reflect.ValueOf(&defaults).Elem())
	got := Policy{}.Over(defaults)
	if !reflect.DeepEqual(got, defaults) {
		t.Errorf("got %s, want %s", show(t, got), show(t, defaults))
	}
	got = defaults.Over(Policy{Retries: &Retries{}, Cooldown: &Cooldown{}})
	if !reflect.DeepEqual(got, defaults) {
		t.Errorf("got %s, want %s", show(t, got), show(t, defaults))
	}
}

// fill sets everything in v to something.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.String:
		v.SetString("x")
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"name":"x"}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]int{"timeout": 7}))
	default:
		t.Fatalf("fill does not know %s", v.Type())
	}
}

func clonePolicy(t *testing.T, p Policy) Policy {
	t.Helper()
	var c Policy
	if err := json.Unmarshal([]byte(show(t, p)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func show(t *testing.T, p Policy) string {
	t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPolicyDefaults(t *testing.T) {
	e := new(Policy).engine()
	if e.Deadline != 10*time.Minute || e.Idle != 2*time.Minute || e.Timeout != 0 || e.FirstToken != 0 {
		t.Errorf("got deadline %v, idle %v, timeout %v, first token %v; want 10m, 2m, none, none", e.Deadline, e.Idle, e.Timeout, e.FirstToken)
	}
	if !e.Retry.Failover || e.Resume || !e.HealthPanic || e.MaxFallbacks != 5 || e.MaxEjected != 1 {
		t.Errorf("got failover %v, resume %v, health_panic %v, max_fallbacks %d, max_ejected %v; want true, false, true, 5, 1",
			e.Retry.Failover, e.Resume, e.HealthPanic, e.MaxFallbacks, e.MaxEjected)
	}
	if got := e.Retry.RetriesFor(retry.ServerError); got != 2 {
		t.Errorf("got %d retries, want 2", got)
	}
	if got := e.Retry.RetriesFor(retry.Timeout); got != 0 {
		t.Errorf("got %d retries after a timeout, want 0", got)
	}
	if e.Retry.Backoff.Initial != 500*time.Millisecond || e.Retry.Backoff.Max != 8*time.Second ||
		e.Retry.MaxWait != time.Minute || e.Retry.MaxWaitWithFallback != 5*time.Second {
		t.Errorf("got %+v, want backoff 500ms 8s, max_wait 60s 5s", e.Retry)
	}
	if e.Queue != (engine.QueuePolicy{}) {
		t.Errorf("got the queue %+v, want none", e.Queue)
	}
	if got, want := new(Queue).engine(), (engine.QueuePolicy{Size: 100, Timeout: 30 * time.Second}); got != want {
		t.Errorf("got the queue %+v, want %+v", got, want)
	}
	c := (*Cooldown)(nil).engine(0)
	if c.Off || c.Duration != 5*time.Second || c.Max != 5*time.Minute || c.Growth != 2 || c.GrowthMax != 30*time.Second || c.Window != time.Minute {
		t.Errorf("got %+v, want 5s, max 5m, growth 2 30s, window 1m", c)
	}
}

func TestPolicyReachesTheEngine(t *testing.T) {
	d := func(n int) caddy.Duration { return caddy.Duration(time.Duration(n) * time.Second) }
	p := Policy{
		Failover: ptr(false), Deadline: d(1), Timeout: d(2), FirstTokenTimeout: d(3), IdleTimeout: d(4), SlowStart: d(5),
		Resume: ptr(true), HealthPanic: ptr(false), MaxFallbacks: ptr(0), Queue: &Queue{Size: 14, Timeout: d(15)},
		Retries:  &Retries{Count: ptr(0), Classes: map[string]int{"timeout": 9}, InitialBackoff: d(6), MaxBackoff: d(7), MaxWait: d(8), MaxWaitWithFallback: d(9)},
		Cooldown: &Cooldown{Duration: d(10), FailureRate: ptr(0.0), MinRequests: ptr(0), Window: d(11), AllowedFails: ptr(0), Classes: map[string]int{"rate_limit": 3}, Max: d(12), Growth: ptr(1.5), GrowthMax: d(13), MaxEjected: ptr(25.0)},
	}
	if err := p.validate(); err != nil {
		t.Fatal(err)
	}
	e := p.engine()
	if e.Retry.Failover || e.Deadline != time.Second || e.Timeout != 2*time.Second || e.FirstToken != 3*time.Second || e.Idle != 4*time.Second ||
		!e.Resume || e.HealthPanic || e.MaxFallbacks != 0 || e.MaxEjected != 0.25 {
		t.Errorf("got %+v", e)
	}
	if want := (engine.QueuePolicy{Size: 14, Timeout: 15 * time.Second}); e.Queue != want {
		t.Errorf("got the queue %+v, want %+v", e.Queue, want)
	}
	p.Queue.Off = true
	if got := p.engine().Queue; got != (engine.QueuePolicy{}) {
		t.Errorf("got the queue %+v, want none", got)
	}
	if got, timeout := e.Retry.RetriesFor(retry.ServerError), e.Retry.RetriesFor(retry.Timeout); got != 0 || timeout != 9 {
		t.Errorf("got %d retries, %d after a timeout; want 0 and 9", got, timeout)
	}
	if e.Retry.Backoff.Initial != 6*time.Second || e.Retry.Backoff.Max != 7*time.Second || e.Retry.MaxWait != 8*time.Second || e.Retry.MaxWaitWithFallback != 9*time.Second {
		t.Errorf("got %+v", e.Retry)
	}
	c := p.Cooldown.engine(p.SlowStart)
	if c.SlowStart != 5*time.Second || c.Duration != 10*time.Second || c.FailureRate != 0 || c.MinRequests != 0 || c.Window != 11*time.Second ||
		c.AllowedFails != 0 || c.ClassAllowed[retry.RateLimit] != 3 || c.Max != 12*time.Second || c.Growth != 1.5 || c.GrowthMax != 13*time.Second {
		t.Errorf("got %+v", c)
	}
}

func TestPolicyValidateRefuses(t *testing.T) {
	for name, p := range map[string]Policy{
		"deadline":      {Deadline: -1},
		"idle_timeout":  {IdleTimeout: -1},
		"max_fallbacks": {MaxFallbacks: ptr(-1)},
		"retries":       {Retries: &Retries{Count: ptr(-1)}},
		"wait":          {Retries: &Retries{MaxWait: -1}},
		"budget":        {Retries: &Retries{BudgetPercent: ptr(-1.0)}},
		"class":         {Retries: &Retries{Classes: map[string]int{"bad_request": 1}}},
		"class count":   {Retries: &Retries{Classes: map[string]int{"timeout": -1}}},
		"cooldown":      {Cooldown: &Cooldown{Duration: -1}},
		"failure_rate":  {Cooldown: &Cooldown{FailureRate: ptr(101.0)}},
		"max_ejected":   {Cooldown: &Cooldown{MaxEjected: ptr(-1.0)}},
		"growth":        {Cooldown: &Cooldown{Growth: ptr(0.5)}},
		"allowed_fails": {Cooldown: &Cooldown{AllowedFails: ptr(-1)}},
		"affinity":      {Affinity: &Affinity{}},
		"affinity by":   {Affinity: &Affinity{By: []string{"auto", "everybody"}}},
		"affinity {":    {Affinity: &Affinity{By: []string{"}{"}}},
		"affinity ttl":  {Affinity: &Affinity{By: []string{"auto"}, TTL: -1}},
		"affinity size": {Affinity: &Affinity{By: []string{"auto"}, Size: -1}},
		"queue size":    {Queue: &Queue{Size: -1}},
		"queue timeout": {Queue: &Queue{Timeout: -1}},
		"class name":    {Cooldown: &Cooldown{Classes: map[string]int{"nonsense": 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			if p.validate() == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestBlamedClasses(t *testing.T) {
	want := []string{"auth", "connection", "not_found", "overloaded", "quota", "rate_limit", "server_error", "timeout"}
	if got := blamedClasses(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
