// Package mock is a transport for Caddy's reverse_proxy that answers LLM API
// requests itself, without a network: for a first try, for demonstrations, and
// for tests of what a router does when a model server is slow or fails.
package mock

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func init() {
	caddy.RegisterModule(new(Transport))
}

// maxTokens bounds a configured answer, so that a typing error does not fill
// the memory of the machine.
const maxTokens = 1_000_000

// Transport is a reverse_proxy transport that answers LLM API requests itself,
// in the format that the path asks for, and never opens a connection. The
// address of the upstream is not used, but reverse_proxy wants one.
//
// It knows these endpoints by the end of the path: `/chat/completions`,
// `/completions`, `/responses`, `/messages`, `/messages/count_tokens`,
// `/api/chat`, `/api/generate` (all streaming or not, as the request says) and
// `/embeddings` with POST; `/models`, `/models/{id}`, `/health` and `/` with
// GET. Everything else is answered 404. The model of an answer is the model of
// the request.
//
// Delays and failures apply to POST requests only: a GET is what health checks
// send, and a model server that is slow or out of quota still answers those.
type Transport struct {
	// The text of every answer. Default: a short sentence that names the model
	// that was asked for.
	Response string `json:"response,omitempty"`

	// What a failed request is answered with. Without `fail_first` and
	// `fail_rate`, every request fails. Default, if one of those two is set:
	// status 500 and class `server_error`.
	Error *Failure `json:"error,omitempty"`

	// How long a request waits before the status and headers of its answer.
	// Default: `0`.
	Latency caddy.Duration `json:"latency,omitempty"`

	// How long a streamed answer waits, after its headers, before the first
	// event with content. Default: `0`.
	FirstToken caddy.Duration `json:"first_token,omitempty"`

	// How long a streamed answer waits between two events with content.
	// Default: `0`.
	Interval caddy.Duration `json:"interval,omitempty"`

	// How many events with content a streamed answer is cut into, and how many
	// output tokens every answer reports. A text that is too short for that many
	// is repeated. At least 1, at most 1000000. Default: one per word.
	Tokens *int `json:"tokens,omitempty"`

	// How many requests fail, counted from the load of the configuration; those
	// after them are answered. Default: unset.
	FailFirst *int `json:"fail_first,omitempty"`

	// How many percent of the requests fail, picked at random, from 0 to 100.
	// Together with `fail_first`, it applies to the requests after those.
	// Default: unset.
	FailRate *float64 `json:"fail_rate,omitempty"`

	// posts counts the requests that could fail, for FailFirst.
	posts atomic.Int64

	// roll returns a number in [0,1) for FailRate. A test sets its own; nil is
	// math/rand/v2.
	roll func() float64
}

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.llm_mock",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Validate checks that every value is one that can be acted on.
func (t *Transport) Validate() error {
	for _, d := range []struct {
		name  string
		value caddy.Duration
	}{{"latency", t.Latency}, {"first_token", t.FirstToken}, {"interval", t.Interval}} {
		if d.value < 0 {
			return fmt.Errorf("%s: expected a duration of 0 or more, got %s", d.name, time.Duration(d.value))
		}
	}
	if t.Tokens != nil && (*t.Tokens < 1 || *t.Tokens > maxTokens) {
		return fmt.Errorf("tokens: expected a number from 1 to %d, got %d", maxTokens, *t.Tokens)
	}
	if t.FailFirst != nil && *t.FailFirst < 0 {
		return fmt.Errorf("fail_first: expected a number of requests, 0 or more, got %d", *t.FailFirst)
	}
	// The negation catches NaN too.
	if t.FailRate != nil && !(*t.FailRate >= 0 && *t.FailRate <= 100) {
		return fmt.Errorf("fail_rate: expected a percentage from 0 to 100, got %v", *t.FailRate)
	}
	if t.Error != nil {
		return t.Error.validate()
	}
	return nil
}

// RoundTrip answers the request. It returns an error when the request's
// context ends first, when the request's body cannot be read, or when the
// transport plays a failed connection.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return lookUp(r), nil
	case http.MethodPost:
	default:
		return noSuchEndpoint(r), nil
	}
	q, problem, err := readRequest(r)
	if err != nil {
		return nil, err
	}
	if err := sleep(r.Context(), nil, time.Duration(t.Latency)); err != nil {
		return nil, err
	}
	if problem != nil {
		return problem.response(r), nil
	}
	if t.fails() {
		return t.Error.orDefault().respond(r, q)
	}
	return t.answer(r, q), nil
}

// fails decides whether the next request fails, and counts it.
func (t *Transport) fails() bool {
	if t.FailFirst == nil && t.FailRate == nil {
		return t.Error != nil
	}
	if t.FailFirst != nil && t.posts.Add(1) <= int64(*t.FailFirst) {
		return true
	}
	if t.FailRate == nil {
		return false
	}
	roll := t.roll
	if roll == nil {
		roll = rand.Float64
	}
	return roll()*100 < *t.FailRate
}

var errClosed = errors.New("llm_mock: read on a closed response body")

// Interface guards
var (
	_ caddy.Module          = (*Transport)(nil)
	_ caddy.Validator       = (*Transport)(nil)
	_ caddyfile.Unmarshaler = (*Transport)(nil)
	_ http.RoundTripper     = (*Transport)(nil)
)
