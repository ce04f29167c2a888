package clients

import (
	"bytes"
	"net/http"
	"sync/atomic"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// flaky is a deployment that fails every second request, each time in another
// way.
type flaky struct {
	good     scripted.Step
	requests atomic.Int64
	given    []atomic.Int64 // how often it has failed in each of the ways
}

// ways are the ways to fail. None of them is the client's fault, so that no
// client may learn of any.
var ways = []struct {
	name string
	step scripted.Step // nil: the good answer, cut
}{
	{"500", failure(500, "server_error", "internal_error", "The server had an error.")},
	{"503", failure(503, "overloaded_error", "overloaded", "The server is overloaded.")},
	{"429", failure(429, "requests", "rate_limit_exceeded", "Rate limit reached for requests.")},
	{"no quota", failure(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota.")},
	{"a bad key", failure(401, "authentication_error", "invalid_api_key", "Incorrect API key provided.")},
	{"an unknown model", failure(404, "invalid_request_error", "model_not_found", "The model does not exist.")},
	{"an error in a 200", failure(200, "server_error", "internal_error", "The server had an error.")},
	{"a cut answer", nil},
	{"a reset connection", scripted.ResetBeforeHeaders()},
}

// turns is after how many requests a flaky deployment has failed in all ways.
var turns = 2 * len(ways)

// cutAt is within the first event of a stream, and within anything else.
const cutAt = 30

func newFlaky(good scripted.Step) *flaky {
	return &flaky{good: good, given: make([]atomic.Int64, len(ways))}
}

func (f *flaky) serve(w http.ResponseWriter, r *http.Request) {
	n := int(f.requests.Add(1) - 1)
	if n%2 == 0 {
		f.good(w, r)
		return
	}
	n = n / 2 % len(ways)
	f.given[n].Add(1)
	if step := ways[n].step; step != nil {
		step(w, r)
		return
	}
	scripted.CutAfter(cutAt, f.good)(w, r)
}

// refusing answers with the error that the model's name asks for.
func refusing(w http.ResponseWriter, r *http.Request) {
	step := failure(404, "invalid_request_error", "model_not_found", "The model does not exist.")
	switch gjson.GetBytes(bodyOf(r), "model").String() {
	case "400":
		step = failure(400, "invalid_request_error", "unknown_parameter", "Unknown parameter.")
	case "403":
		step = failure(403, "permission_error", "forbidden", "You may not do that.")
	case "422":
		step = failure(422, "invalid_request_error", "invalid_value", "That cannot be processed.")
	case "429":
		step = failure(429, "rate_limit_error", "rate_limit_exceeded", "Rate limit reached for requests.")
	case "500":
		step = failure(500, "api_error", "internal_error", "The server had an error.")
	case "quota":
		step = failure(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota.")
	}
	step(w, r)
}

// beginning streams the good answer up to its first word, and then does
// something else.
func beginning(then func(r *http.Request)) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		provider(keyOfFirst)(&untilFirstWord{ResponseWriter: w}, r)
		then(r)
	}
}

// untilFirstWord drops what comes after the event with the first word.
type untilFirstWord struct {
	http.ResponseWriter
	over bool
}

func (u *untilFirstWord) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func (u *untilFirstWord) Write(p []byte) (int, error) {
	if u.over {
		return len(p), nil
	}
	u.over = bytes.Contains(p, []byte(tokens(greeting)[0]))
	return u.ResponseWriter.Write(p)
}
