package llmrouter

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	switch {
	case asksForModels(r):
		return h.serveModels(w, r, h.team(repl))
	case upstreams.IsUpgrade(r):
		return h.serveUpgrade(w, r, repl, next)
	case !carriesRequest(r.Method):
		return next.ServeHTTP(w, r)
	}
	m := memories.Get().(*memory)
	if err := m.own.Fill(r.Body, r.ContentLength, h.MaxBody); err != nil {
		return h.refuseBody(w, r, err)
	}
	m.body = &m.own
	defer m.free()
	facts := &m.facts
	form, err := scan(r, m.body.Bytes(), facts)
	if err != nil && h.UnknownModel == nextUnknown {
		return passOn(w, r, next, m.body)
	}
	if err != nil {
		return h.refuse(w, r, api.Error{Status: http.StatusBadRequest, Message: sentence(err), Param: paramOf(err)})
	}
	model, refusal := h.model(r, repl, facts.Model)
	if refusal != nil {
		return h.refuse(w, r, *refusal)
	}
	req := &m.request
	h.fill(req, r, repl, model)
	route, ok := h.router.Resolve(model, req.Team)
	switch {
	case (!ok || model == "") && h.UnknownModel == nextUnknown:
		return passOn(w, r, next, m.body)
	case model == "":
		return h.refuse(w, r, noModel)
	case !ok:
		return h.refuse(w, r, unknownModel(model))
	case climbs(r.URL.Path):
		return h.refuse(w, r, pathClimbs)
	}
	var asked apireq.CacheOptions
	if h.options != 0 && !form {
		if m.body, asked, err = h.takeOptions(r, m.body, facts, req, route.Target.Pool.Name); err != nil {
			return h.refuse(w, r, api.Error{Status: http.StatusBadRequest, Message: sentence(err), Param: paramOf(err)})
		}
	}
	prompt := m.body.Prompt(facts)
	req.PromptTokens, req.Prompt, req.Stream = facts.PromptTokens(), prompt, streams(r, facts)
	req.MaxOutput = facts.MaxOutput * facts.Choices
	req.Size = sizeOf(r, facts, prompt)
	c := call{w, r, repl, m.body, facts, form, route, req}
	if answers := upstreams.AnswersOf(route.Target.Pool); answers != nil {
		m.idle, err = h.serveKept(&m.kept, c, answers, &asked)
		return err
	}
	_, m.idle, err = h.askWith(&m.exchange, c, "")
	return err
}

// sizeOf is what the request takes of a context window. No prompt is too long to be
// counted, or where it is to be cut.
func sizeOf(r *http.Request, facts *apireq.Facts, prompt *apireq.Prompt) selection.Size {
	if facts.Truncates || api.CountsTokens(r.URL.Path) {
		return selection.Size{}
	}
	return selection.Size{Bytes: facts.PromptBytes, Output: facts.MaxOutput, Counter: prompt}
}

// serveUpgrade takes a WebSocket to a deployment, by the model in its query.
func (h *Handler) serveUpgrade(w http.ResponseWriter, r *http.Request, repl *caddy.Replacer, next caddyhttp.Handler) error {
	model, refusal := h.model(r, repl, "")
	if refusal != nil {
		return h.refuse(w, r, *refusal)
	}
	req := new(engine.Request)
	h.fill(req, r, repl, model)
	route, ok := h.router.Resolve(model, req.Team)
	switch {
	case model == "", !ok && h.UnknownModel == nextUnknown:
		return next.ServeHTTP(w, r)
	case !ok:
		return h.refuse(w, r, unknownModel(model))
	case climbs(r.URL.Path):
		return h.refuse(w, r, pathClimbs)
	}
	x := upstreams.NewUpgrade(w, r)
	req.Session = x
	result := h.router.Serve(r.Context(), route, req, x)
	h.report(r, repl, req, &result, "")
	switch {
	case result.Class == retry.None:
		return nil
	case x.Committed():
		x.Finish()
		return nil
	}
	return giveUp(w, r, nil, req, &result)
}

// carriesRequest tells whether a method can carry a request with a model.
func carriesRequest(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return false
}

// climbs tells whether a path has segments that lead out of where it begins,
// and so out of the prefix of a deployment's address.
func climbs(path string) bool {
	return strings.Contains(path, "..") && slices.Contains(strings.Split(path, "/"), "..")
}

// passOn hands a request that is not the router's to the next handler, with its
// body as it was.
func passOn(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, body *apireq.Body) error {
	whole := body.NewReader(apireq.Edits{})
	defer whole.Close()
	r.Body, r.ContentLength = whole, whole.Len()
	return next.ServeHTTP(w, r)
}

// refuseBody answers a request whose body could not be read.
func (h *Handler) refuseBody(w http.ResponseWriter, r *http.Request, err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, apireq.ErrTooLarge), errors.As(err, &tooLarge):
		limit := h.MaxBody
		if tooLarge != nil {
			limit = min(limit, tooLarge.Limit)
		}
		return h.refuse(w, r, api.Error{
			Status:  http.StatusRequestEntityTooLarge,
			Message: "The request body is larger than " + strconv.FormatInt(limit, 10) + " bytes.", Code: "request_too_large",
		})
	// Before the context's end: Go's server ends the context after any failed read.
	case errors.Is(err, os.ErrDeadlineExceeded):
		return h.refuse(w, r, api.Error{Status: http.StatusRequestTimeout, Message: "The request body did not arrive in time.", Code: "request_timeout"})
	case r.Context().Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, io.ErrUnexpectedEOF):
		h.app.metrics.Refused(retry.Canceled)
		w.WriteHeader(statusClientClosed)
		return nil
	}
	return h.refuse(w, r, api.Error{Status: http.StatusBadRequest, Message: "The request body could not be read."})
}
