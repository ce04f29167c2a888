package llmrouter

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/cache"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/metrics"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// source is where an answer has come from, as the client and the log are told; it is
// empty where the cache was not asked.
type source string

const (
	hit  source = "hit"
	miss source = "miss"
)

// kept is a request to a pool that keeps answers.
type kept struct {
	call
	h       *Handler
	answers *upstreams.Answers
	asked   cache.Request // whose body lasts no longer than the client's
	key     cache.Key
	// remembered tells that the key was known without reading the request.
	remembered bool
	inputs     *cache.Inputs // of a request for embeddings, each of which is kept
	wishes     cache.Wishes
	began      time.Time
}

// maxTurns is how often a request follows another one whose client goes away before
// there is an answer.
const maxTurns = 3

// serveKept answers with what is kept or on its way already, where there is that. free
// tells whether nobody has anything of the call any more.
func (h *Handler) serveKept(k *kept, c call, answers *upstreams.Answers, asked *apireq.CacheOptions) (free bool, err error) {
	k.call, k.h, k.answers, k.wishes, k.began = c, h, answers, wishes(c.r.Header, asked), time.Now()
	if !k.identify() {
		k.count(metrics.CacheBypass)
		_, err := h.ask(c, "")
		return false, err
	}
	if !k.wishes.NoRead {
		if e := answers.Get(k.key, k.began, k.wishes.MaxAge); e != nil {
			if !k.remembered {
				answers.Remember(&k.asked, k.key)
			}
			return true, k.give(e)
		}
	}
	return false, k.fly()
}

// fly asks an upstream, or follows a request that does.
func (k *kept) fly() error {
	if k.wishes.NoRead { // what others wait for is another thing
		return k.lead(cache.NewFlight(k.room()))
	}
	for range maxTurns {
		flight, leads := k.answers.Join(k.key, k.room())
		if leads {
			return k.lead(flight)
		}
		answered, again := k.follow(flight)
		if answered {
			return nil
		}
		if !again {
			break
		}
	}
	return k.lead(cache.NewFlight(k.room()))
}

// wishes are what the headers say, and what LiteLLM's clients say in the body.
func wishes(header http.Header, asked *apireq.CacheOptions) cache.Wishes {
	w := cache.ReadWishes(header)
	w.NoRead, w.NoKeep = w.NoRead || asked.NoCache, w.NoKeep || asked.NoStore
	if asked.MaxAgeSet && (w.MaxAge < 0 || asked.MaxAge < w.MaxAge) {
		w.MaxAge = asked.MaxAge
	}
	w.TTL, w.Namespace = asked.TTL, asked.Namespace
	return w
}

// identify finds the request's key; false when its answer is none to keep.
func (k *kept) identify() bool {
	kind, ok := cache.KindOf(k.r.URL.Path)
	if !ok || k.form || k.r.Method != http.MethodPost || k.req.Mock != retry.None {
		return false
	}
	k.asked = k.answers.Request(k.r, k.repl, &upstreams.Question{
		Kind: kind, Body: k.body.Bytes(), Target: k.route.Target,
		Team: k.req.Team, Tags: slices.Compact(sorted(k.req.Tags)), Regions: sorted(k.req.Regions), Namespace: k.wishes.Namespace,
	}, k.asked.Scope[:0])
	if k.key, k.remembered, ok = k.answers.KeyOf(&k.asked); ok {
		k.inputs, _ = k.asked.Inputs()
	}
	return ok
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// forget lets go of a request that nobody has anything of any more.
func (k *kept) forget() {
	scope := k.asked.Scope
	clear(scope)
	*k = kept{asked: cache.Request{Scope: scope[:0]}}
}

// maxBatch is the longest answer to several inputs that is taken apart or put together,
// in bytes. A short request may have the same input thousands of times.
const maxBatch = 32 << 20

// room is how much of the answer has to be held to keep it, or to share it.
func (k *kept) room() int {
	switch {
	case k.wishes.NoKeep && k.wishes.NoRead: // which nobody follows either
		return 0
	case k.inputs != nil:
		return max(maxBatch, k.answers.MaxItem)
	}
	return k.answers.MaxItem
}

// lead asks an upstream, and lets others follow. The call goes on without the client
// as long as anybody does.
func (k *kept) lead(f *cache.Flight) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.r.Context()))
	defer cancel()
	f.Lead(cancel)
	defer context.AfterFunc(k.r.Context(), f.Leave)()
	defer k.answers.Land(k.key, f)
	if e := k.find(ctx); e != nil {
		f.Fill(e)
		return k.give(e)
	}
	k.w.Header()["X-Llm-Cache"] = []string{string(miss)}
	c := k.call
	c.w, c.r = &recorder{ResponseWriter: k.w, flight: f}, k.r.WithContext(ctx)
	if k.inputs != nil {
		if done, err := k.leadInputs(c, f); done {
			return err
		}
	}
	k.count(metrics.CacheMiss)
	end, err := k.h.ask(c, miss)
	if body, head, whole := f.Whole(); whole && end.clean && !k.wishes.NoKeep {
		k.keepAnswer(&cache.Entry{ContentType: head.ContentType, Deployment: head.Deployment, Body: body})
	}
	f.End(end.class)
	return err
}

// find looks once more for an answer that has come meanwhile, and then for one that
// another instance keeps.
func (k *kept) find(ctx context.Context) *cache.Entry {
	if k.wishes.NoRead {
		return nil
	}
	return k.answers.Find(ctx, []cache.Key{k.key}, k.wishes.MaxAge)[0]
}

// keepAnswer keeps an answer, or the answers to its inputs.
func (k *kept) keepAnswer(e *cache.Entry) {
	if k.inputs == nil || !k.keepInputs(k.inputs.All(), e) {
		k.keep(k.key, e)
	}
}

func (k *kept) keep(key cache.Key, e *cache.Entry) {
	if len(e.Body) > k.answers.MaxItem || !e.Sound() {
		return
	}
	ttl := k.answers.TTL
	if k.wishes.TTL > 0 {
		ttl = min(k.wishes.TTL, maxTTL)
	}
	if cap(e.Body) > len(e.Body)+len(e.Body)/8 { // it has grown, and counts as if it had not
		e.Body = bytes.Clone(e.Body)
	}
	now := time.Now()
	e.Stored, e.Expires = now, now.Add(ttl)
	k.answers.Keep(key, e, now)
}

// maxTTL is the longest that a request may have its answer kept.
const maxTTL = 30 * 24 * time.Hour

// give answers with what was kept.
func (k *kept) give(e *cache.Entry) error {
	k.count(metrics.CacheHit)
	stream, _ := cache.Keepable(e.ContentType)
	k.writeHead(e.ContentType, e.Deployment, e.Age(k.began))
	if !stream && len(e.Body) > statedByServer {
		k.w.Header()["Content-Length"] = []string{strconv.Itoa(len(e.Body))}
	}
	k.w.WriteHeader(http.StatusOK)
	class := retry.None
	if _, err := k.w.Write(e.Body); err != nil {
		class = retry.Canceled
	} else if stream {
		http.NewResponseController(k.w).Flush()
	}
	k.tell(class, 0)
	return nil
}

// statedByServer is the longest body, in bytes, whose length the server states itself
// once the handler is done. A map of headers with more than eight is twice as large.
const statedByServer = 2 << 10

// writeHead sets the headers of an answer that the upstream was not asked for: it
// took no attempt, and cost nothing. Like the answer when it was new, it does not name
// the server.
func (k *kept) writeHead(contentType, deployment string, age time.Duration) {
	h := k.w.Header()
	delete(h, "Server")
	upstreams.Stamp(h, k.route.Target.Pool.Name, deployment, 0, 0)
	h["X-Llm-Cache"] = []string{string(hit)}
	h["X-Llm-Cost"] = []string{"0"}
	h["Age"] = []string{strconv.FormatInt(int64(age/time.Second), 10)}
	h["Content-Type"] = []string{contentType}
}

// tell reports the request, of whose time so much was spent waiting for another one.
func (k *kept) tell(class retry.Class, waited time.Duration) {
	k.h.report(k.r, k.repl, k.req, &engine.Result{
		Class: class, Pool: k.route.Target.Pool, Delivered: true,
		Took: time.Since(k.began), Waited: waited, CostKnown: true,
	}, hit)
}

func (k *kept) count(result metrics.CacheResult) {
	upstreams.CountersOf(k.route.Target.Pool).Cached(result)
}
