package llmrouter

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// impossible is the error for a request that no deployment can ever serve, so that
// none was tried.
func impossible(req *engine.Request, res *engine.Result) api.Error {
	switch {
	case res.Largest != nil:
		return tooLong(req, res)
	case res.Out == selection.Region:
		return api.Error{
			Status: http.StatusNotFound, Param: "model", Code: "model_not_found",
			Message: "The model " + strconv.Quote(req.Model) + " is not available in " + loggable(strings.Join(req.Regions, ", ")) + ".",
		}
	}
	return unknownModel(req.Model)
}

// tooLong is the error for a request that is too long for every deployment, with the
// code and the words by which clients know it from OpenAI and from Anthropic.
func tooLong(req *engine.Request, res *engine.Result) api.Error {
	e := api.Error{Status: http.StatusBadRequest, Code: "context_length_exceeded"}
	c := res.Largest
	room, _ := req.Size.Room(c)
	window, output := strconv.Itoa(c.Window()), strconv.Itoa(req.Size.Output)
	e.Message = "This model's maximum context length is " + window + " tokens. "
	switch {
	case c.ContextWindow > 0 && req.Size.Output > c.ContextWindow:
		e.Message += "The request asks for an answer of " + output + " tokens."
	case room < c.Window():
		e.Message += "The prompt is too long: it has more than the " + strconv.Itoa(room) + " tokens that are left of it beside an answer of " + output + "."
	default:
		e.Message += "The prompt is too long: it has more than that."
	}
	return e
}
