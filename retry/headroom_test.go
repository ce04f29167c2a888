package retry

import (
	"net/http"
	"testing"
	"time"
)

func TestReadHeadroom(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	known := func(remaining, limit int64, reset time.Duration) Left {
		return Left{Remaining: remaining, Limit: limit, Reset: reset, Known: true}
	}
	for _, test := range []struct {
		name   string
		header map[string]string
		want   Headroom
	}{
		{"none", nil, Headroom{}},
		{"OpenAI", map[string]string{
			"X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Remaining-Requests": "59", "X-Ratelimit-Reset-Requests": "1s",
			"X-Ratelimit-Limit-Tokens": "150000", "X-Ratelimit-Remaining-Tokens": "149984", "X-Ratelimit-Reset-Tokens": "6m0s",
		}, Headroom{known(59, 60, time.Second), known(149984, 150000, 6*time.Minute)}},
		{"Anthropic", map[string]string{
			"Anthropic-Ratelimit-Requests-Limit": "50", "Anthropic-Ratelimit-Requests-Remaining": "0",
			"Anthropic-Ratelimit-Requests-Reset":     "2026-01-01T12:00:30Z",
			"Anthropic-Ratelimit-Tokens-Remaining":   "80000",
			"Anthropic-Ratelimit-Tokens-Reset":       "2026-01-01T12:01:00Z",
			"Anthropic-Ratelimit-Input-Tokens-Limit": "40000", "Anthropic-Ratelimit-Input-Tokens-Remaining": "1000",
			"Anthropic-Ratelimit-Input-Tokens-Reset": "2026-01-01T12:00:45Z",
		}, Headroom{known(0, 50, 30*time.Second), known(1000, 40000, 45*time.Second)}},
		{"one limit alone, without its size", map[string]string{
			"X-Ratelimit-Remaining-Tokens": "7", "X-Ratelimit-Reset-Tokens": "59.70s",
		}, Headroom{Tokens: known(7, 0, 59700*time.Millisecond)}},
		{"no reset", map[string]string{"X-Ratelimit-Remaining-Requests": "0"}, Headroom{}},
		{"a reset that has passed", map[string]string{
			"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "2026-01-01T11:00:00Z",
		}, Headroom{}},
		{"no number", map[string]string{"X-Ratelimit-Remaining-Requests": "many", "X-Ratelimit-Reset-Requests": "1s"}, Headroom{}},
		{"a negative number", map[string]string{"X-Ratelimit-Remaining-Requests": "-1", "X-Ratelimit-Reset-Requests": "1s"}, Headroom{}},
		{"a fraction", map[string]string{"X-Ratelimit-Remaining-Requests": "0.5", "X-Ratelimit-Reset-Requests": "1s"}, Headroom{}},
		{"beyond all reason", map[string]string{"X-Ratelimit-Remaining-Requests": "99999999999999999999", "X-Ratelimit-Reset-Requests": "1s"}, Headroom{}},
		{"a limit that is no number", map[string]string{
			"X-Ratelimit-Remaining-Requests": "3", "X-Ratelimit-Reset-Requests": "1s", "X-Ratelimit-Limit-Requests": "?",
		}, Headroom{Requests: known(3, 0, time.Second)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := make(http.Header)
			for name, value := range test.header {
				header.Set(name, value)
			}
			if got := ReadHeadroom(header, func() time.Time { return now }); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func BenchmarkReadHeadroom(b *testing.B) {
	header := http.Header{"Content-Type": {"application/json"}, "Date": {"now"}}
	b.ReportAllocs()
	for b.Loop() {
		ReadHeadroom(header, time.Now)
	}
}
