package engine

import (
	"context"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// late makes the pool hedge what is later than 90 percent of the deployment's own.
func late(p *Pool) *Pool {
	p.Policy.Hedge = HedgePolicy{Percentile: 90, Max: 1}
	return p
}

func TestHedgesGoByPercentiles(t *testing.T) {
	const ms = time.Millisecond
	seen := func(p *Pool, stream bool, n int, took time.Duration) {
		for range n {
			p.All()[0].ContentTimes(stream).Add(took)
		}
	}
	for _, test := range []struct {
		name  string
		seen  func(p *Pool)
		trace string
	}{
		{"nothing is known", func(*Pool) {}, "a@0s"},
		{"too little is known", func(p *Pool) { seen(p, true, 19, ms) }, "a@0s"},
		{"enough is known", func(p *Pool) { seen(p, true, 20, 300*ms) }, "a@0s b@300ms"},
		{"of other requests", func(p *Pool) { seen(p, false, 20, 300*ms) }, "a@0s"},
		{"it is very fast", func(p *Pool) { seen(p, true, 20, ms) }, "a@0s b@10ms"},
		{"some are slow", func(p *Pool) { seen(p, true, 90, 300*ms); seen(p, true, 10, time.Hour) }, "a@0s b@300ms"},
		{"many are slow", func(p *Pool) { seen(p, true, 80, 300*ms); seen(p, true, 20, 700*ms) }, "a@0s b@700ms"},
	} {
		bubble(t, test.name, func(t *testing.T) {
			m := late(newPool("m", deployment("a"), deployment("b")))
			test.seen(m)
			x := racers(map[string][]step{"a": {good(5 * time.Second)}})
			serve(t.Context(), newRouter(t, m), &Request{Model: "m", Stream: true}, x)
			x.want(t, test.trace)
		})
	}
}

// What a deployment's attempts come to is what its next ones are measured by.
func TestPercentilesOfAttempts(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		step   step
		leaves time.Duration
		want   time.Duration // the second longest of this one, 20 answers in a second and one in four; 0 is that it does not count
	}{
		{name: "a stream", step: good(3 * s), want: 3 * s},
		{name: "a stream that is cut", step: step{deliver: Outcome{Class: retry.Connection, Final: true, Streamed: true, FirstToken: 3 * s}}, want: 3 * s},
		{name: "an answer that is long", step: step{takes: 3 * s, deliver: Outcome{FirstToken: time.Hour}}, want: 3 * s},
		{name: "a stream that goes on where another was", step: step{takes: 9 * s, deliver: Outcome{Streamed: true, FirstToken: 3 * s}}, want: 3 * s},
		{name: "nobody has measured", step: takes(3 * s)},
		{name: "a failure", step: after(3*s, retry.ServerError)},
		{name: "a client that leaves", step: good(time.Hour), leaves: 3 * s, want: 3 * s},
		{name: "a client that leaves early", step: good(time.Hour), leaves: s / 2},
	} {
		bubble(t, test.name, func(t *testing.T) {
			a := deployment("a")
			for range 20 {
				a.ContentTimes(true).Add(s)
			}
			a.ContentTimes(true).Add(4 * s)
			m := late(newPool("m", a))
			m.Policy.Retry.Retries = 0
			ctx := t.Context()
			if test.leaves > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, test.leaves)
				defer cancel()
			}
			serve(ctx, newRouter(t, m), &Request{Model: "m", Stream: true}, racers(map[string][]step{"a": {test.step}}))
			want := test.want
			if want == 0 {
				want = s
			}
			if got, _ := a.ContentTimes(true).Percentile(95); got != want {
				t.Errorf("got %v as the second longest time, want %v", got, want)
			}
		})
	}
	bubble(t, "nobody goes by them", func(t *testing.T) {
		a := deployment("a")
		r := newRouter(t, hedging(newPool("m", a)))
		for range 30 {
			serve(t.Context(), r, &Request{Model: "m", Stream: true}, racers(map[string][]step{"a": {good(s)}}))
		}
		if got, ok := a.ContentTimes(true).Percentile(50); ok {
			t.Errorf("got %v, want no times kept", got)
		}
	})
	bubble(t, "a loser", func(t *testing.T) {
		a, b := deployment("a"), deployment("b")
		for range 20 {
			a.ContentTimes(true).Add(s)
			b.ContentTimes(true).Add(s)
		}
		a.ContentTimes(true).Add(4 * s)
		x := racers(map[string][]step{"a": {good(time.Hour)}, "b": {good(2 * s)}})
		serve(t.Context(), newRouter(t, late(newPool("m", a, b))), &Request{Model: "m", Stream: true}, x)
		if got, _ := a.ContentTimes(true).Percentile(95); got != 3*s {
			t.Errorf("got %v as the loser's second longest time, want the 3s that it was waited for", got)
		}
	})
}

// A deployment that hangs is not waited for longer and longer, as nobody ever hears how
// long it would take.
func TestPercentilesOfWhatHangs(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a := deployment("a")
		for i := range 100 {
			a.ContentTimes(true).Add(time.Duration(i) * 10 * time.Millisecond)
		}
		m := late(newPool("m", a, deployment("b")))
		r := newRouter(t, m)
		for range 300 {
			x := racers(map[string][]step{"a": {good(time.Hour)}, "b": {good(500 * time.Millisecond)}})
			res := serve(t.Context(), r, &Request{Model: "m", Stream: true}, x)
			if want := 1500 * time.Millisecond; x.joined != "b" || res.Took > want {
				t.Fatalf("got the answer of %s after %v, want that of b within %v", x.joined, res.Took, want)
			}
		}
	})
}
