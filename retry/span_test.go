package retry

import (
	"math"
	"testing"
	"time"
)

func TestLeadingSpan(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		rest string
	}{
		{"5", 5 * time.Second, ""},
		{"5.", 5 * time.Second, "."},
		{"5, then", 5 * time.Second, ", then"},
		{".5s", 500 * time.Millisecond, ""},
		{"0.5s", 500 * time.Millisecond, ""},
		{"2 seconds.", 2 * time.Second, "."},
		{"1 min", time.Minute, ""},
		{"3 Hours", 3 * time.Hour, ""},
		{"2 days 1 hr", 49 * time.Hour, ""},
		{"9m38.016s. Need", 9*time.Minute + 38016*time.Millisecond, ". Need"},
		{"1h2m3s4ms", time.Hour + 2*time.Minute + 3*time.Second + 4*time.Millisecond, ""},
		{"5s 3 apples", 5 * time.Second, " 3 apples"},
		{"5s 3", 5 * time.Second, " 3"},
		{"1500000ns", 1500 * time.Microsecond, ""},
		{"1us", time.Microsecond, ""},
		{"1µs", time.Microsecond, ""},
		{"1μs", time.Microsecond, ""},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, rest, ok := leadingSpan(c.text)
			if got != c.want || rest != c.rest || !ok {
				t.Errorf("got %v, %q, %v, want %v, %q", got, rest, ok, c.want, c.rest)
			}
		})
	}
	for _, text := range []string{"", "s", ".", "-5s", "+5s", "five", "3 apples", "1e5", "0x10", "NaN", "99999999999d"} {
		t.Run("not "+text, func(t *testing.T) {
			if got, _, ok := leadingSpan(text); ok {
				t.Errorf("got %v, want nothing", got)
			}
		})
	}
}

func TestLeadingNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
		rest string
	}{
		{"12", 12, ""}, {"12.5s", 12.5, "s"}, {"1.2.3", 1.2, ".3"}, {"7.", 7, "."}, {"007", 7, ""},
	} {
		got, rest, ok := leadingNumber(c.text)
		if got != c.want || rest != c.rest || !ok {
			t.Errorf("%s: got %v, %q, %v, want %v, %q", c.text, got, rest, ok, c.want, c.rest)
		}
	}
}

func TestSpanOfBounds(t *testing.T) {
	for _, c := range []struct {
		n    float64
		unit time.Duration
		want time.Duration
		ok   bool
	}{
		{0, time.Second, 0, true},
		{0.174, time.Second, 174 * time.Millisecond, true},
		{38.016, time.Second, 38016 * time.Millisecond, true},
		{maxHint.Seconds(), time.Second, maxHint, true},
		{maxHint.Seconds() + 1, time.Second, 0, false},
		{-0.001, time.Second, 0, false},
		{math.NaN(), time.Second, 0, false},
		{math.Inf(1), time.Nanosecond, 0, false},
		{math.Inf(-1), time.Hour, 0, false},
		{math.MaxFloat64, time.Hour, 0, false},
	} {
		if got, ok := spanOf(c.n, c.unit); got != c.want || ok != c.ok {
			t.Errorf("spanOf(%v, %v): got %v, %v, want %v, %v", c.n, c.unit, got, ok, c.want, c.ok)
		}
	}
}

func TestUntilBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Time
		want time.Duration
		ok   bool
	}{
		{"now", waitNow, 0, true},
		{"soon", waitNow.Add(time.Second), time.Second, true},
		{"just past", waitNow.Add(-1), 0, false},
		{"ten years", waitNow.Add(maxHint), maxHint, true},
		{"more", waitNow.Add(maxHint + 1), 0, false},
		{"for ever", time.Unix(1<<55, 0), 0, false},
		{"never", time.Time{}, 0, false},
	} {
		if got, ok := until(c.at, waitNow); got != c.want || ok != c.ok {
			t.Errorf("%s: got %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}
