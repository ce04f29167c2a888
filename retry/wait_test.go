package retry

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

var waitNow = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

const noWait = -1 * time.Second // in these tables: nothing is stated

// headers makes a header of names and values in turn.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func checkWait(t *testing.T, header http.Header, body string, want time.Duration) {
	t.Helper()
	wantOK := want != noWait
	if !wantOK {
		want = 0
	}
	if got, ok := Wait(header, []byte(body), waitNow); got != want || ok != wantOK {
		t.Errorf("Wait(%v, %s): got %v, %v, want %v, %v", header, body, got, ok, want, wantOK)
	}
}

func TestWaitRetryAfter(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"retry-after-ms", "174", 174 * time.Millisecond},
		{"retry-after-ms", "12.5", 12500 * time.Microsecond},
		{"retry-after-ms", "-1", noWait},
		{"retry-after-ms", "NaN", noWait},
		{"retry-after-ms", "1e30", noWait},
		{"retry-after-ms", "12 apples", noWait},
		{"retry-after", "59", 59 * time.Second},
		{"retry-after", " 59 ", 59 * time.Second},
		{"retry-after", "0.25", 250 * time.Millisecond},
		{"retry-after", "30s", 30 * time.Second},
		{"retry-after", "0", 0},
		{"retry-after", "-5", noWait},
		{"retry-after", "NaN", noWait},
		{"retry-after", "Inf", noWait},
		{"retry-after", "1e3", noWait},
		{"retry-after", "soon", noWait},
		{"retry-after", "", noWait},
		{"retry-after", "315360000", 315360000 * time.Second}, // ten years
		{"retry-after", "315360001", noWait},
		{"retry-after", strings.Repeat("9", 400), noWait},
		{"retry-after", "Sun, 01 Jun 2025 12:01:30 GMT", 90 * time.Second},
		{"retry-after", "Sun, 01 Jun 2025 11:59:00 GMT", noWait},
		{"retry-after", "Sun, 01 Jun 2055 12:00:00 GMT", noWait},
		{"retry-after", "Sunday, 01-Jun-25 12:00:07 GMT", 7 * time.Second},
	} {
		t.Run(c.name+" "+c.value[:min(len(c.value), 40)], func(t *testing.T) {
			checkWait(t, headers(c.name, c.value), "", c.want)
		})
	}
}

func TestWaitReset(t *testing.T) {
	for _, c := range []struct {
		value string
		want  time.Duration
	}{
		{"6ms", 6 * time.Millisecond},
		{"1m30s", 90 * time.Second},
		{"1h0m5.5s", time.Hour + 5500*time.Millisecond},
		{"1d2h", 26 * time.Hour},
		{"250µs", 250 * time.Microsecond},
		{"59.928", 59928 * time.Millisecond},
		{"0s", 0},
		{"1748779230", 30 * time.Second},
		{"1748779230.5", 30500 * time.Millisecond},
		{"1748779230250", 30250 * time.Millisecond},
		{"1748779100", noWait},
		{"2025-06-01T12:00:45Z", 45 * time.Second},
		{"2025-06-01T14:00:45.5+02:00", 45500 * time.Millisecond},
		{"2025-06-01T11:00:00Z", noWait},
		{"2099-06-01T11:00:00Z", noWait},
		{"Sun, 01 Jun 2025 12:01:30 GMT", 90 * time.Second},
		{"-1", noWait},
		{"-1m", noWait},
		{"NaN", noWait},
		{"5 parsecs", noWait},
		{"1m30s and more", noWait},
		{"999999999999999999999", noWait},
	} {
		for _, name := range []string{"X-RateLimit-Reset", "X-RateLimit-Reset-Tokens", "RateLimit-Reset", "Anthropic-RateLimit-Requests-Reset"} {
			t.Run(name+" "+c.value, func(t *testing.T) {
				checkWait(t, headers(name, c.value), "", c.want)
			})
		}
	}
}

func TestWaitTakesTheExhaustedLimit(t *testing.T) {
	for _, c := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"the longest when nothing else is known", headers("x-ratelimit-reset-requests", "8.64s", "x-ratelimit-reset-tokens", "6ms"), 8640 * time.Millisecond},
		{"the one with nothing remaining", headers("x-ratelimit-reset-requests", "8.64s", "x-ratelimit-remaining-requests", "12",
			"x-ratelimit-reset-tokens", "6ms", "x-ratelimit-remaining-tokens", "0"), 6 * time.Millisecond},
		{"the longest of several with nothing remaining", headers("x-ratelimit-reset-requests", "3s", "x-ratelimit-remaining-requests", "0",
			"x-ratelimit-reset-tokens", "2s", "x-ratelimit-remaining-tokens", "0", "x-ratelimit-reset", "1h"), 3 * time.Second},
		{"the longest when all have something remaining", headers("x-ratelimit-reset-requests", "3s", "x-ratelimit-remaining-requests", "7",
			"x-ratelimit-reset-tokens", "2s", "x-ratelimit-remaining-tokens", "1014"), 3 * time.Second},
		{"Anthropic's", headers("anthropic-ratelimit-requests-reset", "2025-06-01T12:00:05Z", "anthropic-ratelimit-requests-remaining", "49",
			"anthropic-ratelimit-input-tokens-reset", "2025-06-01T12:00:02Z", "anthropic-ratelimit-input-tokens-remaining", "0"), 2 * time.Second},
		{"an exhausted one that cannot be read leaves the others", headers("x-ratelimit-reset-requests", "later", "x-ratelimit-remaining-requests", "0",
			"x-ratelimit-reset-tokens", "2s"), 2 * time.Second},
		{"one of a day", headers("x-ratelimit-reset-requests-day", "33011.4", "x-ratelimit-remaining-requests-day", "100",
			"x-ratelimit-reset-tokens-minute", "11.4", "x-ratelimit-remaining-tokens-minute", "0"), 11400 * time.Millisecond},
		{"other headers", headers("x-ratelimit-limit-requests", "60", "x-ratelimit-remaining-requests", "0", "date", "x"), noWait},
	} {
		t.Run(c.name, func(t *testing.T) { checkWait(t, c.header, "", c.want) })
	}
}

func TestWaitInBody(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       time.Duration
	}{
		{"Gemini", `{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"40s"}]}}`, 40 * time.Second},
		{"Gemini with a fraction", `[{"error":{"details":[{"retryDelay":"34.074824224s"}]}}]`, 34074824224},
		{"Gemini, double encoded", `{"error":{"message":"{\"error\":{\"details\":[{\"retryDelay\":\"7s\"}]}}"}}`, 7 * time.Second},
		{"Cloudflare", `{"status":522,"retryable":true,"retry_after":120,"zone":"x"}`, 2 * time.Minute},
		{"Cloudflare, cut off", `{"status":522,"retry_after":120,"what`, 2 * time.Minute},
		{"milliseconds", `{"error":{"retry_after_ms":250}}`, 250 * time.Millisecond},
		{"Hugging Face", `{"error":"Model x is currently loading","estimated_time":20.5}`, 20500 * time.Millisecond},
		{"OpenRouter", `{"error":{"message":"x","code":429,"metadata":{"headers":{"X-RateLimit-Reset":"1748779230000"}}}}`, 30 * time.Second},
		{"OpenAI in milliseconds", `{"error":{"message":"Limit 30000. Please try again in 174ms. Visit x"}}`, 174 * time.Millisecond},
		{"Groq", `{"error":{"message":"Please try again in 9m38.016s. Need more?"}}`, 9*time.Minute + 38016*time.Millisecond},
		{"Azure", `{"error":{"code":"429","message":"Please retry after 59 seconds. Please contact"}}`, 59 * time.Second},
		{"Azure, one second", `{"error":{"message":"Try again in 1 second."}}`, time.Second},
		{"words for units", `{"message":"try again in 1 hour 5 minutes"}`, 65 * time.Minute},
		{"no unit", `{"message":"retry after 5."}`, 5 * time.Second},
		{"Gemini's sentence", `{"error":{"message":"* Quota exceeded, limit: 20\nPlease retry in 40.387s."}}`, 40387 * time.Millisecond},
		{"roughly", `{"detail":"Your rate limit resets in ~5s."}`, 5 * time.Second},
		{"plain text", "Rate limited, wait 3s", 3 * time.Second},
		{"a member before a sentence", `{"message":"try again in 2s","retry_after":5}`, 5 * time.Second},
		{"the longest sentence", `{"message":"try again in 2s","detail":"retry after 1 minute"}`, time.Minute},
		{"no number", `{"message":"try again in a few seconds"}`, noWait},
		{"no unit of time", `{"message":"try again in 3 attempts"}`, noWait},
		{"negative", `{"message":"try again in -3s","retry_after":-1,"retryDelay":"-5s"}`, noWait},
		{"absurd", `{"message":"try again in 99999999999999999999s","retry_after":1e99}`, noWait},
		{"in what the user wrote", `{"detail":[{"msg":"Field required","input":"try again in 5s"}]}`, noWait},
		{"in a page", `<html>try again in 5s</html>`, noWait},
		{"zero", `{"retry_after":0}`, 0},
		{"empty", ``, noWait},
	} {
		t.Run(c.name, func(t *testing.T) { checkWait(t, nil, c.body, c.want) })
	}
}

func TestWaitPrecedence(t *testing.T) {
	const body = `{"message":"try again in 4s","retry_after":3}`
	h := headers("retry-after-ms", "1000", "retry-after", "2", "x-ratelimit-reset", "5")
	for _, step := range []struct {
		name, without string
		body          string
		want          time.Duration
	}{
		{"milliseconds first", "", body, time.Second},
		{"then Retry-After", "Retry-After-Ms", body, 2 * time.Second},
		{"then a member", "Retry-After", body, 3 * time.Second},
		{"then a sentence", "", `{"message":"try again in 4s"}`, 4 * time.Second},
		{"then a reset", "", "", 5 * time.Second},
	} {
		h.Del(step.without)
		t.Run(step.name, func(t *testing.T) { checkWait(t, h, step.body, step.want) })
	}
	// Azure sends "retry-after-ms: 0" beside "retry-after: 1".
	t.Run("zero gives way to more", func(t *testing.T) {
		checkWait(t, headers("retry-after-ms", "0", "retry-after", "1"), "", time.Second)
		checkWait(t, headers("retry-after", "0", "x-ratelimit-reset", "5"), "", 5*time.Second)
		checkWait(t, nil, `{"retry_after":0,"message":"try again in 4s"}`, 4*time.Second)
	})
	t.Run("what cannot be read gives way", func(t *testing.T) {
		checkWait(t, headers("retry-after-ms", "x", "retry-after", "-1", "x-ratelimit-reset", "5"), "", 5*time.Second)
	})
}

func FuzzWait(f *testing.F) {
	for _, row := range readCorpus(f) {
		f.Add("1", row.Body, int64(0))
	}
	f.Add("1748779230250", "retry after 1h9999999999999m", int64(1748779200))
	f.Add("Sun, 01 Jun 2025 12:01:30 GMT", `{"retryDelay":"-.5s"}`, int64(-1<<62))
	f.Fuzz(func(t *testing.T, value, body string, unix int64) {
		now := time.Unix(unix, 0)
		for _, name := range []string{"Retry-After-Ms", "Retry-After", "X-Ratelimit-Reset-Tokens"} {
			d, ok := Wait(http.Header{name: {value}}, []byte(body), now)
			if d < 0 || d > maxHint || !ok && d != 0 {
				t.Fatalf("%s: got %v, %v", name, d, ok)
			}
			if again, _ := Wait(http.Header{name: {value}}, []byte(body), now); again != d {
				t.Fatalf("%s: got %v and then %v", name, d, again)
			}
		}
	})
}
