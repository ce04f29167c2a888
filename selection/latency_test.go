package selection

import (
	"math"
	"testing"
	"time"
)

func near(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= float64(want)/1000+1
}

func TestLatencyIsAPeakEWMA(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	type seen struct {
		after time.Duration
		first time.Duration
	}
	for _, test := range []struct {
		name string
		seen []seen
		want time.Duration
	}{
		{"nothing", nil, 0},
		{"the first counts whole", []seen{{0, 100 * ms}}, 100 * ms},
		{"slower counts at once", []seen{{0, 100 * ms}, {0, 5 * s}}, 5 * s},
		{"faster does not at once", []seen{{0, 5 * s}, {0, 100 * ms}}, 5 * s},
		{"faster does by and by", []seen{{0, 1100 * ms}, {peakMemory, 100 * ms}}, 100*ms + time.Duration(math.Exp(-1)*float64(s))},
		{"faster does after a while", []seen{{0, 5 * s}, {10 * time.Minute, 100 * ms}}, 100 * ms},
		{"a clock that goes back", []seen{{time.Hour, 5 * s}, {0, 100 * ms}}, 5 * s},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l Latency
			last := noon
			for _, seen := range test.seen {
				last = noon.Add(seen.after)
				l.Served(last, Answer{Prompt: 100, FirstToken: seen.first, Took: time.Hour})
			}
			if got, _ := l.FirstToken(last, 100); math.Abs(float64(got-test.want)) > float64(20*ms) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestLatencyByTheSizeOfThePrompt(t *testing.T) {
	var l Latency
	if got, _ := l.FirstToken(noon, 100); got != 0 {
		t.Errorf("nothing seen: got %v, want 0", got)
	}
	l.Served(noon, Answer{Prompt: 2_000, FirstToken: 2 * time.Second, Took: 2 * time.Second})
	l.Served(noon, Answer{Prompt: 100_000, FirstToken: 9 * time.Second, Took: 9 * time.Second})
	for tokens, want := range map[int]time.Duration{
		0: 2 * time.Second, 100: 2 * time.Second, 4095: 2 * time.Second, 4096: 2 * time.Second,
		65_535: 2 * time.Second, 65_536: 9 * time.Second, math.MaxInt32: 9 * time.Second,
	} {
		if got, _ := l.FirstToken(noon, tokens); !near(got, want) {
			t.Errorf("%d tokens: got %v, want %v", tokens, got, want)
		}
	}
	if _, age := l.FirstToken(noon.Add(time.Minute), 100); age < 59*time.Second || age > 61*time.Second {
		t.Errorf("got age %v, want about a minute", age)
	}
}

func TestLatencyOfTokens(t *testing.T) {
	for _, test := range []struct {
		name            string
		before          time.Duration // first token of a stream before
		answer          Answer
		first, perToken time.Duration
	}{
		{"a stream", 0, Answer{FirstToken: time.Second, Took: 11 * time.Second, Output: 101}, time.Second, 100 * time.Millisecond},
		{"a stream of one token", 0, Answer{FirstToken: time.Second, Took: 11 * time.Second, Output: 1}, time.Second, 0},
		{"a stream of unknown length", 0, Answer{FirstToken: time.Second, Took: 11 * time.Second}, time.Second, 0},
		{"whole, with nothing known", 0, Answer{Took: 10 * time.Second, Output: 100}, 0, 100 * time.Millisecond},
		{"whole, with the first token known", 2 * time.Second, Answer{Took: 12 * time.Second, Output: 100}, 2 * time.Second, 100 * time.Millisecond},
		{"whole, sooner than the first token", 8 * time.Second, Answer{Took: 4 * time.Second, Output: 100}, 8 * time.Second, 20 * time.Millisecond}, // faster by and by
		{"no tokens", 0, Answer{Took: 3 * time.Second}, 3 * time.Second, 0},
		{"nonsense", 0, Answer{FirstToken: -1, Took: -1, Output: -1}, 0, 0},
		{"a stream that ends before it begins", 0, Answer{FirstToken: 2 * time.Second, Took: time.Second, Output: 100}, 2 * time.Second, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l Latency
			l.Served(noon, Answer{FirstToken: test.before})
			l.Served(noon, test.answer)
			first, _ := l.FirstToken(noon, 0)
			perToken, _ := l.PerToken(noon)
			if !near(first, test.first) || !near(perToken, test.perToken) {
				t.Errorf("got %v and %v a token, want %v and %v", first, perToken, test.first, test.perToken)
			}
		})
	}
}

func TestFailuresCountAsSlow(t *testing.T) {
	var l Latency
	first := func(tokens int) time.Duration { d, _ := l.FirstToken(noon, tokens); return d }
	l.Failed(noon, 100, time.Millisecond)
	if got := first(100); got != failureFloor {
		t.Errorf("a fast failure, with nothing known: got %v, want %v", got, failureFloor)
	}
	l = Latency{}
	l.Served(noon, Answer{Prompt: 100, FirstToken: 100 * time.Millisecond})
	l.Served(noon, Answer{Prompt: 10_000, FirstToken: 4 * time.Second})
	l.Failed(noon, 100, time.Millisecond)
	if got := first(100); !near(got, time.Second) {
		t.Errorf("a fast failure: got %v, want 1s", got)
	}
	if got := first(10_000); !near(got, 8*time.Second) {
		t.Errorf("longer prompts after a fast failure: got %v, want twice the 4s", got)
	}
	l.Failed(noon, 100, 30*time.Second)
	if got := first(100); !near(got, 30*time.Second) {
		t.Errorf("a timeout: got %v, want 30s", got)
	}
	l.Served(noon, Answer{Prompt: 100, Took: 40 * time.Second, Output: 1000})
	before, _ := l.PerToken(noon)
	l.Failed(noon, 100, time.Millisecond)
	if after, _ := l.PerToken(noon); before == 0 || !near(after, 2*before) {
		t.Errorf("got %v a token, want twice the %v", after, before)
	}
	for range 100 {
		l.Failed(noon, 100, time.Hour)
	}
	if got := first(100); got != failureCap {
		t.Errorf("a hundred failures: got %v, want %v", got, failureCap)
	}
}

func TestWaitingInVainIsNeverFast(t *testing.T) {
	var l Latency
	l.Waited(noon, 0, 10*time.Millisecond)
	if got, _ := l.FirstToken(noon, 0); got != 0 {
		t.Errorf("nothing known, and a client that leaves at once: got %v, want nothing known", got)
	}
	l.Served(noon, Answer{Prompt: 100_000, FirstToken: 4 * time.Second})
	for _, tell := range []func(){
		func() { l.Waited(noon, 0, 2*time.Second) },
		func() { l.Failed(noon, 0, time.Millisecond) },
	} {
		tell()
		if got, _ := l.FirstToken(noon, 0); got < 3999*time.Millisecond {
			t.Errorf("only known of longer prompts: got %v, want no less than 4s", got)
		}
	}
	l = Latency{}
	l.Served(noon, Answer{FirstToken: time.Second})
	for took, want := range map[time.Duration]time.Duration{time.Millisecond: time.Second, 5 * time.Second: 5 * time.Second} {
		l.Waited(noon, 0, took)
		if got, _ := l.FirstToken(noon, 0); took > time.Second && !near(got, want) || got < time.Second {
			t.Errorf("after %v: got %v, want %v", took, got, want)
		}
	}
}
