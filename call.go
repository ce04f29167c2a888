package llmrouter

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// call is a request that has found its pool.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	repl  *caddy.Replacer
	body  *apireq.Body
	facts *apireq.Facts
	form  bool
	route engine.Route
	req   *engine.Request
}

// ending is how the call of an upstream has ended.
type ending struct {
	class retry.Class
	// clean tells that the answer may be given to others as well.
	clean bool
}

// ask gets an answer from the pool, or tells the client why there is none.
func (h *Handler) ask(c call, from source) (ending, error) {
	x := upstreams.NewExchange(c.w, c.r, c.body, c.facts, c.form)
	defer x.Close()
	c.req.Session = x
	result := h.router.Serve(c.r.Context(), c.route, c.req, x)
	told := result
	told.Class = received(c.w, result.Class)
	h.report(c.r, c.repl, c.req, &told, from)
	if result.Class == retry.None {
		return ending{retry.None, x.Clean()}, nil
	}
	if !x.Committed() {
		notShared(c.w)
	}
	return ending{class: result.Class}, giveUp(c.w, c.r, x, c.req, &result)
}
