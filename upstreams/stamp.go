package upstreams

import (
	"net/http"
	"strconv"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// Stamp sets the response headers that say how an answer came about; a pool or
// a deployment that is empty is left out. The values are the response's own:
// other handlers may change them in place.
func Stamp(h http.Header, pool, deployment string, attempts, fallbacks int) {
	values := &[4]string{pool, deployment, strconv.Itoa(attempts), strconv.Itoa(fallbacks)}
	if pool != "" {
		h["X-Llm-Pool"] = values[0:1:1]
	}
	if deployment != "" {
		h["X-Llm-Deployment"] = values[1:2:2]
	}
	h["X-Llm-Attempts"] = values[2:3:3]
	h["X-Llm-Fallbacks"] = values[3:4:4]
}

// stampCost tells what the request has cost, where that is known before the head
// of its answer is written: the answer is held whole, and its deployment has a price.
func (x *Exchange) stampCost(a *engine.Attempt) {
	if a.Candidate.Price == nil || !x.account.complete {
		return
	}
	said, _ := x.account.said.Usage()
	if dollars, known := a.CostWith(said); known {
		x.w.Header()["X-Llm-Cost"] = []string{strconv.FormatFloat(dollars, 'f', -1, 64)}
	}
}

func stamp(h http.Header, a *engine.Attempt) {
	Stamp(h, a.Target.Pool.Name, a.Candidate.ID, a.Made, a.Fallbacks)
}
