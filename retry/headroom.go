package retry

import (
	"net/http"
	"strings"
	"time"
)

// Headroom is what the headers of an answer say is left of a provider's limits.
type Headroom struct {
	Requests, Tokens Left
}

// Left is what is left of one limit.
type Left struct {
	// Remaining is how much, if Known.
	Remaining int64
	// Limit is of how much; 0 is unknown.
	Limit int64
	// Reset is how long it takes until all of it is there again.
	Reset time.Duration
	// Known tells that Remaining and Reset were both stated.
	Known bool
}

// maxLeft is the largest number that can be meant.
const maxLeft = 1 << 50

// headroomNames are the headers of one limit in the spellings of providers: what
// remains, the limit, the reset.
type headroomNames struct{ remaining, limit, reset string }

var (
	requestHeaders = [...]headroomNames{
		{"X-Ratelimit-Remaining-Requests", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Reset-Requests"},
		{"Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Reset"},
	}
	tokenHeaders = [...]headroomNames{
		{"X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Reset-Tokens"},
		{"Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Limit", "Anthropic-Ratelimit-Input-Tokens-Reset"},
		{"Anthropic-Ratelimit-Tokens-Remaining", "Anthropic-Ratelimit-Tokens-Limit", "Anthropic-Ratelimit-Tokens-Reset"},
	}
)

// ReadHeadroom reads what an answer says is left, per limit: OpenAI's names, which
// most providers share, and Anthropic's. What is not a whole number, or has no
// reset, is not known. Now is asked only where something is said.
func ReadHeadroom(header http.Header, now func() time.Time) Headroom {
	return Headroom{Requests: readLeft(header, requestHeaders[:], now), Tokens: readLeft(header, tokenHeaders[:], now)}
}

func readLeft(header http.Header, spellings []headroomNames, now func() time.Time) Left {
	for _, names := range spellings {
		values := header[names.remaining]
		if len(values) == 0 {
			continue
		}
		remaining, ok := wholeNumber(values[0])
		reset, stated := parseReset(header.Get(names.reset), now())
		if !ok || !stated {
			continue
		}
		limit, _ := wholeNumber(header.Get(names.limit))
		return Left{Remaining: remaining, Limit: limit, Reset: reset, Known: true}
	}
	return Left{}
}

// wholeNumber reads a number of requests or tokens.
func wholeNumber(s string) (int64, bool) {
	n, rest, ok := leadingNumber(strings.TrimSpace(s))
	if !ok || rest != "" || n > maxLeft || n != float64(int64(n)) {
		return 0, false
	}
	return int64(n), true
}
