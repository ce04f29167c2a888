package llmrouter

import (
	"net/http"
	"sync"

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

// memory is what a request takes, kept for one after the other.
type memory struct {
	own      apireq.Body
	body     *apireq.Body // own, or what the client's options have left of it
	facts    apireq.Facts
	request  engine.Request
	exchange upstreams.Exchange
	kept     kept
	idle     bool // nobody else has anything of it
}

var memories = sync.Pool{New: func() any { return new(memory) }}

// free lets go of the request.
func (m *memory) free() {
	m.body.Release()
	if m.idle && m.own.Gone() {
		if m.kept.h != nil {
			m.kept.forget()
		}
		m.body, m.facts, m.request, m.idle = nil, apireq.Facts{}, engine.Request{}, false
		memories.Put(m)
	}
}

// ending is how the call of an upstream has ended.
type ending struct {
	class retry.Class
	// clean tells that the answer may be given to others as well.
	clean bool
}

// ask gets an answer from the pool, or tells the client why there is none.
func (h *Handler) ask(c call, from source) (ending, error) {
	end, _, err := h.askWith(new(upstreams.Exchange), c, from)
	return end, err
}

// askWith is ask with an exchange that is there. free tells whether nobody has anything
// of it, or of the call, any more.
func (h *Handler) askWith(x *upstreams.Exchange, c call, from source) (end ending, free bool, err error) {
	x.Open(c.w, c.r, c.body, c.facts, c.form)
	defer func() { free = x.Close() }()
	c.req.Session = x
	result := h.router.Serve(c.r.Context(), c.route, c.req, x)
	told := result
	told.Class = received(c.w, result.Class)
	h.report(c.r, c.repl, c.req, &told, from)
	if result.Class == retry.None {
		return ending{retry.None, x.Clean()}, false, nil
	}
	if !x.Committed() {
		notShared(c.w)
	}
	return ending{class: result.Class}, false, giveUp(c.w, c.r, x, c.req, &result)
}
