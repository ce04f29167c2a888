package selection

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

func left(remaining, limit int64, reset time.Duration) retry.Left {
	return retry.Left{Remaining: remaining, Limit: limit, Reset: reset, Known: true}
}

func TestHeadroom(t *testing.T) {
	const s = time.Second
	for _, test := range []struct {
		name   string
		said   retry.Headroom
		after  time.Duration
		tokens int
		want   time.Duration
	}{
		{"nothing said", retry.Headroom{}, 0, 1e6, 0},
		{"enough left", retry.Headroom{Requests: left(1, 10, 10*s)}, 0, 0, 0},
		{"no request left", retry.Headroom{Requests: left(0, 10, 10*s)}, 0, 0, s},
		{"no request left, of an unknown limit", retry.Headroom{Requests: left(0, 0, 10*s)}, 0, 0, 10 * s},
		{"half way", retry.Headroom{Requests: left(0, 2, 10*s)}, 2 * s, 0, 3 * s},
		{"one is back", retry.Headroom{Requests: left(0, 10, 10*s)}, 2 * s, 0, 0},
		{"reset", retry.Headroom{Requests: left(0, 0, 10*s)}, 10 * s, 0, 0},
		{"tokens that are left", retry.Headroom{Tokens: left(500, 1000, 10*s)}, 0, 500, 0},
		{"tokens that are not", retry.Headroom{Tokens: left(500, 1000, 10*s)}, 0, 600, 2 * s},
		{"tokens without a look at requests", retry.Headroom{Tokens: left(0, 1000, 10*s)}, 0, 100, s},
		{"more than the limit waits for nearly all", retry.Headroom{Tokens: left(0, 1000, 10*s)}, 0, 5000, 9 * s},
		{"more than the limit, and all there", retry.Headroom{Tokens: left(1000, 1000, 0)}, 0, 5000, 0},
		{"a day is not believed whole", retry.Headroom{Requests: left(0, 0, 24*time.Hour)}, 0, 0, 5 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h Headroom
			h.Believe(noon, h.Take(0), test.said)
			got := h.Wait(noon.Add(test.after), test.tokens)
			if got.Round(time.Millisecond) != test.want {
				t.Errorf("got a wait of %v, want %v", got, test.want)
			}
			if fits := h.Fits(noon.Add(test.after), test.tokens); fits != (test.want == 0) {
				t.Errorf("fits %v with a wait of %v", fits, test.want)
			}
		})
	}
}

// What an answer says does not know of the requests that were sent after its own.
func TestHeadroomCountsWhatIsUnderWay(t *testing.T) {
	var h Headroom
	first := h.Take(10)
	h.Take(10)
	h.Take(10)
	h.Believe(noon, first, retry.Headroom{Requests: left(3, 0, time.Minute), Tokens: left(25, 0, time.Minute)})
	if !h.Fits(noon, 5) {
		t.Error("the third of three does not fit")
	}
	if h.Fits(noon, 6) {
		t.Error("26 tokens fit where 25 were left")
	}
	h.Take(5)
	if h.Fits(noon, 0) {
		t.Error("a fourth of three fits")
	}
}

// Answers overtake each other; the one to the latest request counts.
func TestHeadroomKeepsTheLatestAnswer(t *testing.T) {
	var h Headroom
	first, second := h.Take(0), h.Take(0)
	h.Believe(noon, second, retry.Headroom{Requests: left(0, 0, time.Minute)})
	h.Believe(noon, first, retry.Headroom{Requests: left(9, 0, time.Minute)})
	if h.Fits(noon, 0) {
		t.Error("an overtaken answer is believed")
	}
}

func BenchmarkHeadroomUnknown(b *testing.B) {
	var h Headroom
	b.ReportAllocs()
	for b.Loop() {
		if !h.Fits(noon, 100) {
			b.Fatal("nothing said, and yet full")
		}
		h.Take(100)
	}
}
