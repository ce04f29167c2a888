package llmrouter

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/cache"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// found are the inputs of a request for embeddings that have been answered before.
type found struct {
	vectors []cache.Vector // one for each input
	missing []int          // the places of those that have none
	size    int            // of the vectors, in bytes
	// deployment is one that has answered, and oldest when the first answer came.
	deployment string
	oldest     time.Time
}

// leadInputs answers a request for embeddings of which some inputs are known; false
// where the whole has to be asked for.
func (k *kept) leadInputs(c call, f *cache.Flight) (done bool, err error) {
	known := k.findInputs(c)
	if known.size > maxBatch {
		return false, nil
	}
	switch len(known.missing) {
	case 0:
		body, ok := cache.Join(known.vectors, nil)
		if !ok {
			return false, nil
		}
		e := &cache.Entry{ContentType: "application/json", Deployment: known.deployment, Body: body, Stored: known.oldest}
		f.Fill(e)
		return true, k.give(e)
	case len(known.vectors):
		return false, nil
	}
	return k.askMissing(c, f, &known)
}

func (k *kept) findInputs(c call) found {
	known := found{vectors: make([]cache.Vector, len(k.inputs.Keys)), oldest: k.began}
	if k.wishes.NoRead {
		known.missing = k.inputs.All()
		return known
	}
	for i, e := range k.answers.Find(c.r.Context(), k.inputs.Keys, k.wishes.MaxAge) {
		ok := false
		if e != nil {
			known.vectors[i], ok = cache.ReadVector(e.Body)
		}
		if !ok {
			known.missing = append(known.missing, i)
			continue
		}
		known.size += len(e.Body)
		known.deployment = e.Deployment
		if e.Stored.Before(known.oldest) {
			known.oldest = e.Stored
		}
	}
	return known
}

// askMissing asks for the inputs that are not known, and answers with all of them. An
// answer that cannot be put together with what is known is no answer, and the whole
// is asked for.
func (k *kept) askMissing(c call, f *cache.Flight, known *found) (done bool, err error) {
	part := apireq.BodyOf(k.inputs.Only(known.missing))
	defer part.Release()
	facts, err := apireq.ScanJSON(part.Bytes())
	if err != nil { // it cannot be, of a body that was good
		return false, nil
	}
	req := *c.req
	prompt := part.Prompt(&facts)
	req.PromptTokens, req.Prompt = facts.PromptTokens(), prompt
	req.Size = sizeOf(c.r, &facts, prompt)
	collected := &collector{header: c.w.Header().Clone()}
	x := upstreams.NewExchange(collected, c.r, part, &facts, false)
	defer x.Close()
	req.Session = x
	result := k.h.router.Serve(c.r.Context(), c.route, &req, x)
	if result.Class != retry.None {
		k.count(metrics.CacheMiss)
		k.h.report(c.r, c.repl, c.req, &result, miss)
		notShared(c.w)
		err := giveUp(collected, c.r, x, c.req, &result)
		collected.pass(c.w, collected.body)
		f.End(result.Class)
		return true, err
	}
	vectors, ok := k.inputs.Split(known.missing, collected.body)
	if !ok || !x.Clean() || !collected.good() || result.Fallbacks > 0 { // whose model is another
		return false, nil
	}
	for i, place := range known.missing {
		known.vectors[place] = vectors[i]
	}
	body, ok := cache.Join(known.vectors, collected.body)
	if !ok {
		return false, nil
	}
	if !k.wishes.NoKeep {
		k.keepInputs(known.missing, &cache.Entry{Deployment: result.Deployment(), Body: collected.body})
	}
	k.count(metrics.CacheMiss)
	partsSince(c.w, known.oldest)
	collected.pass(c.w, body)
	result.Class = received(c.w, result.Class)
	k.h.report(c.r, c.repl, c.req, &result, miss)
	f.End(retry.None)
	return true, nil
}

// keepInputs keeps the answers to some inputs, each for itself; false where the answer
// cannot be taken apart.
func (k *kept) keepInputs(places []int, e *cache.Entry) bool {
	vectors, ok := k.inputs.Split(places, e.Body)
	if !ok {
		return false
	}
	for i, place := range places {
		k.keep(k.inputs.Keys[place], &cache.Entry{
			ContentType: "application/json", Deployment: e.Deployment, Body: vectors[i].JSON(),
		})
	}
	return true
}
