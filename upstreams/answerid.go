package upstreams

import (
	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// expectID prepares for the id by which a later request may name the answer of an
// attempt.
func (x *Exchange) expectID(a *engine.Attempt) {
	x.answerID = x.answerID[:0]
	x.wantsID = x.dialect == api.Responses && a.Target.Pool.Sessions != nil && !x.facts.Unstored
}

// idCame takes note of the id of the answer, the first that comes.
func (x *Exchange) idCame(id []byte) {
	if x.wantsID && len(x.answerID) == 0 && len(id) <= affinity.MaxValue {
		x.answerID = append(x.answerID, id...)
	}
}

// idOf is the id of a whole answer, as it is written; nil without one.
func idOf(answer []byte) []byte {
	c := jsonwalk.New(answer)
	if !c.Open('{') {
		return nil
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		if string(key) == "id" && c.Peek() == '"' {
			id, _ := c.Text()
			return id
		}
		c.Value()
	}
	return nil
}
