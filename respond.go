package llmrouter

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// statusClientClosed is what Caddy logs for a client that went away.
const statusClientClosed = 499

// refuse answers a request that comes to no pool, and counts it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, e api.Error) error {
	because := retry.BadRequest
	switch e.Status {
	case http.StatusNotFound:
		because = retry.NotFound
	case http.StatusRequestTimeout:
		because = retry.Timeout
	}
	h.app.metrics.Refused(because)
	return refuse(w, r, e)
}

// refuse answers with an error of the router's own that trying again does not
// mend.
func refuse(w http.ResponseWriter, r *http.Request, e api.Error) error {
	w.Header().Set("X-Should-Retry", "false")
	upstreams.Stamp(w.Header(), "", "", 0, 0)
	return write(w, r, e)
}

func write(w http.ResponseWriter, r *http.Request, e api.Error) error {
	dialect := api.DialectOf(r.URL.Path)
	if dialect == api.Other && r.Header.Get("Anthropic-Version") != "" {
		dialect = api.Messages // such as /v1/models, whose path is both's
	}
	body := e.JSON(dialect)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.Status)
	w.Write(body) //nolint:errcheck // a client that is gone needs no error
	return nil
}

var (
	pathClimbs = api.Error{
		Status:  http.StatusBadRequest,
		Message: "The path has segments that lead out of it.",
	}
	noModel = api.Error{
		Status: http.StatusBadRequest, Param: "model", Code: "missing_required_parameter",
		Message: "The request names no model.",
	}
	twoQueryModels = api.Error{
		Status: http.StatusBadRequest, Param: "model",
		Message: "The query has more than one model.",
	}
)

func unknownModel(model string) api.Error {
	return api.Error{
		Status: http.StatusNotFound, Param: "model", Code: "model_not_found",
		Message: "The model " + strconv.Quote(model) + " does not exist or you do not have access to it.",
	}
}

// giveUp tells the client that its request has failed: with the last answer of
// an upstream as it was, or where there was none with an error of the router's.
func giveUp(w http.ResponseWriter, r *http.Request, x *upstreams.Exchange, req *engine.Request, res *engine.Result) error {
	switch {
	case r.Context().Err() != nil:
		if x == nil || !x.Committed() {
			w.WriteHeader(statusClientClosed)
		}
		return nil
	case x != nil && x.Committed():
		x.Finish(res)
		return nil
	case x != nil && x.Refused():
		status, header := x.RefusalHeader()
		adviseRetry(header, status, res)
		x.PassOnRefusal(res)
		return nil
	}
	e := failure(req, res)
	header := w.Header()
	upstreams.Stamp(header, res.Pool.Name, "", res.Attempts, res.Fallbacks)
	adviseRetry(header, e.Status, res)
	return write(w, r, e)
}

// failure is the router's own error for a request that no upstream answered.
func failure(req *engine.Request, res *engine.Result) api.Error {
	pool := strconv.Quote(res.Pool.Name)
	switch {
	case res.Attempts == 0 && req.Mock != retry.None:
		return mocked(res.Class)
	case res.Unavailable && res.Limited:
		return api.Error{
			Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded",
			Message: "All deployments of " + pool + " are at their limits.",
		}
	case res.Unavailable:
		return api.Error{
			Status: http.StatusServiceUnavailable, Code: "no_deployment_available",
			Message: "No deployment of " + pool + " is available at the moment.",
		}
	case res.Attempts == 0:
		return impossible(req, res)
	case res.Class == retry.Timeout:
		return api.Error{
			Status: http.StatusGatewayTimeout, Code: "upstream_timeout",
			Message: "The deployments of " + pool + " did not answer in time.",
		}
	}
	return api.Error{
		Status: http.StatusBadGateway, Code: "upstream_unreachable",
		Message: "No deployment of " + pool + " gave an answer.",
	}
}

// adviseRetry tells the client whether trying again is of any use, and when.
// The header names are those that the official OpenAI and Anthropic clients
// read. Every 429 and 503 says how long to wait, also where nobody knows.
func adviseRetry(header http.Header, status int, res *engine.Result) {
	useful := retry.ShouldRetry(res.Class)
	header.Set("X-Should-Retry", strconv.FormatBool(useful))
	wait := res.Wait
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		wait = max(wait, time.Second)
	} else if !useful {
		return
	}
	if wait <= 0 || header.Get("Retry-After") != "" {
		return
	}
	header.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	if header.Get("Retry-After-Ms") == "" {
		header.Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds(), 10))
	}
}

// sentence makes a message for the client of an error's text.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// paramOf names the request field that a body was refused for.
func paramOf(err error) string {
	if scan, ok := errors.AsType[*apireq.ScanError](err); ok {
		return scan.Param()
	}
	if option, ok := errors.AsType[*apireq.OptionError](err); ok {
		return option.Field
	}
	return ""
}
