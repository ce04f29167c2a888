package upstreams

import (
	"net/http"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// Finish ends the response of a client that has a part of an answer which
// nothing continues: a stream with one error event, anything else by cutting
// the connection, so that it cannot pass for a whole one. A stream that is no
// longer read is cut as well, for it may have stopped inside an event.
func (x *Exchange) Finish(res *engine.Result) {
	if !x.streaming || x.stream.raw {
		panic(http.ErrAbortHandler)
	}
	closing := x.stream.closing
	if closing == nil {
		closing = sse.ErrorEvent(x.dialect, cutError(res.Class), x.stream.tracker.NextSequence())
	}
	x.w.Write(closing) //nolint:errcheck // nobody is left to tell
	x.control.Flush()
}

// cutError says why a stream ends before its time.
func cutError(class retry.Class) api.Error {
	if class == retry.Timeout {
		return api.Error{
			Status: http.StatusGatewayTimeout, Code: class.String(),
			Message: "The model server fell silent before its answer was complete.",
		}
	}
	return api.Error{
		Status: http.StatusBadGateway, Code: class.String(),
		Message: "The connection to the model server was lost before its answer was complete.",
	}
}
