package retry

import (
	"math"
	"testing"
	"time"
)

func TestBackoffDelay(t *testing.T) {
	b := Backoff{Initial: 500 * time.Millisecond, Max: 8 * time.Second}
	for _, c := range []struct {
		name   string
		b      Backoff
		n      int
		random float64
		want   time.Duration
	}{
		{"first, half", b, 0, 0.5, 250 * time.Millisecond},
		{"doubles", b, 1, 0.5, 500 * time.Millisecond},
		{"doubles again", b, 2, 0.5, time.Second},
		{"reaches the limit", b, 4, 0.5, 4 * time.Second},
		{"stays there", b, 5, 0.5, 4 * time.Second},
		{"after very many", b, math.MaxInt, 0.5, 4 * time.Second},
		{"nothing drawn", b, 3, 0, 0},
		{"negative count", b, -3, 0.5, 250 * time.Millisecond},
		{"a draw of one stays below the bound", b, 0, 1, 500*time.Millisecond - 1},
		{"a draw that is no number", b, 0, math.NaN(), 0},
		{"negative draw", b, 0, -1, 0},
		{"limit below the start", Backoff{Initial: 2 * time.Second, Max: time.Second}, 3, 0.5, 500 * time.Millisecond},
		{"limit that is no power", Backoff{Initial: time.Second, Max: 3 * time.Second}, 2, 0.5, 1500 * time.Millisecond},
		{"no wait", Backoff{}, 3, 0.5, 0},
		{"no limit", Backoff{Initial: time.Second}, 10, 0.5, 512 * time.Second},
		{"no limit and very many", Backoff{Initial: time.Second}, math.MaxInt, 0.5, 1 << 62},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.b.Delay(c.n, c.random); got != c.want {
				t.Errorf("Delay(%d, %v): got %v, want %v", c.n, c.random, got, c.want)
			}
		})
	}
}

func TestBackoffStaysInBounds(t *testing.T) {
	below1 := math.Nextafter(1, 0)
	for _, b := range []Backoff{{1, 0}, {1, 3}, {time.Hour, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}, {math.MaxInt64/2 + 1, 0}} {
		for n := range 70 {
			for _, random := range []float64{0, 1e-300, 0.3, below1} {
				got := b.Delay(n, random)
				if got < 0 || b.Max > 0 && got >= b.Max || n == 0 && got >= b.Initial {
					t.Errorf("%+v.Delay(%d, %v): got %v", b, n, random, got)
				}
			}
		}
	}
}
