package llmrouter

import (
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// scan reads the facts of a body: of a form where the request says that it is
// one, else of JSON, whatever the type says; many clients state none.
func scan(r *http.Request, body []byte, facts *apireq.Facts) (form bool, err error) {
	contentType := r.Header.Get("Content-Type")
	const formData = "multipart/form-data"
	if len(contentType) >= len(formData) && strings.EqualFold(contentType[:len(formData)], formData) {
		_, params, err := mime.ParseMediaType(contentType)
		if err != nil {
			return true, err
		}
		*facts, err = apireq.ScanMultipart(body, params["boundary"])
		return true, err
	}
	*facts, err = apireq.ScanJSON(body)
	return false, err
}

// model is the model that a request asks for: what the configuration says, else
// the body, else the query; or why what it asks for is refused. What the body says
// is not changed by it, to see what has to be replaced.
func (h *Handler) model(r *http.Request, repl *caddy.Replacer, inBody string) (model string, refusal *api.Error) {
	switch {
	case h.Model != "":
		model = repl.ReplaceAll(h.Model, "")
	case inBody != "" || r.URL.RawQuery == "":
		return inBody, nil // which has been checked
	default:
		models := r.URL.Query()["model"]
		if len(models) > 1 {
			return "", &twoQueryModels
		}
		model = strings.Join(models, "")
	}
	// A line break would begin a part of its own in a form.
	if err := apireq.CheckModel(model); err != nil {
		return "", &api.Error{Status: http.StatusBadRequest, Param: "model", Message: sentence(err)}
	}
	return model, nil
}

// fill gathers what the engine has to know.
func (h *Handler) fill(req *engine.Request, r *http.Request, repl *caddy.Replacer, model string) {
	req.Model, req.Team = model, h.team(repl)
	if h.Priority != "" {
		req.Priority, req.PrioritySet = apireq.ParsePriority(repl.ReplaceAll(h.Priority, ""))
	}
	req.Tags, req.Regions = words(repl, h.Tags), words(repl, h.Regions)
	req.Timeout = clientTimeout(r.Header)
	if values := r.Header["X-Stainless-Retry-Count"]; len(values) == 1 && values[0] != "0" {
		req.Repeated = true
	}
	if values := r.Header["X-Llm-Fallback"]; len(values) == 1 && strings.EqualFold(values[0], "off") {
		req.NoFallback = true
	}
}

// words are what values with placeholders stand for, each of which may be several
// with commas between them.
func words(repl *caddy.Replacer, values []string) (all []string) {
	for _, value := range values {
		for word := range strings.SplitSeq(repl.ReplaceAll(value, ""), ",") {
			if word = strings.TrimSpace(word); word != "" {
				all = append(all, word)
			}
		}
	}
	return all
}

// priorityExpected is what the router's priority has to be.
const priorityExpected = "a whole number from -1000000 to 1000000 or a placeholder"

// validPriority tells whether the router's priority can mean anything. What a
// placeholder stands for is not known before a request comes.
func validPriority(value string) bool {
	_, ok := apireq.ParsePriority(value)
	return ok || value == "" || strings.Contains(value, "{")
}

// clientTimeout is how long the client will wait for its answer to begin; 0 where
// it does not say. The clients for Python say how long they wait for the next
// byte. That is the same, because they get none before the answer is known to be
// good.
func clientTimeout(header http.Header) time.Duration {
	if timeout := secondsIn(header["X-Stainless-Timeout"]); timeout > 0 {
		return timeout
	}
	return secondsIn(header["X-Stainless-Read-Timeout"])
}

// secondsIn reads a header that is a number of seconds; 0 for anything else.
func secondsIn(values []string) time.Duration {
	if len(values) != 1 {
		return 0
	}
	seconds, err := strconv.ParseFloat(values[0], 64)
	if err != nil || !(seconds > 0) || seconds > maxClientTimeout.Seconds() {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// maxClientTimeout is the longest limit that a client can mean; more is taken
// for none.
const maxClientTimeout = 24 * time.Hour

func (h *Handler) team(repl *caddy.Replacer) string {
	if h.Team == "" {
		return ""
	}
	return repl.ReplaceAll(h.Team, "")
}

// streams tells whether the answer will be a stream. Ollama's own paths stream
// unless told not to.
func streams(r *http.Request, facts *apireq.Facts) bool {
	return facts.Stream || !facts.StreamSet && api.DialectOf(r.URL.Path).NDJSON()
}

// clientOptions are the names by which a configuration allows what a request
// may set for itself.
var clientOptions = map[string]apireq.OptionSet{
	"fallbacks":    apireq.OptionFallbacks,
	"retries":      apireq.OptionRetries,
	"timeout":      apireq.OptionTimeout,
	"tags":         apireq.OptionTags,
	"priority":     apireq.OptionPriority,
	"region":       apireq.OptionRegion,
	"mock_testing": apireq.OptionMockTesting,
	"cache":        apireq.OptionCache,
}

func clientOptionNames() []string { return slices.Sorted(maps.Keys(clientOptions)) }

// takeOptions lets the request set what it may, in the fields and headers that
// LiteLLM's clients send, and gives the body without those fields, and what they
// say of the cache. pool is the name of the request's pool, which may be another
// than was asked for.
func (h *Handler) takeOptions(r *http.Request, body *apireq.Body, facts *apireq.Facts, req *engine.Request, pool string) (*apireq.Body, apireq.CacheOptions, error) {
	options, rest, err := apireq.TakeOptions(body.Bytes(), h.options, req.Model, pool)
	if err != nil {
		return body, options.Cache, err
	}
	options.ReadHeader(r.Header, h.options)
	if options.Timeout > 0 && (req.Timeout == 0 || options.Timeout < req.Timeout) {
		req.Timeout = options.Timeout
	}
	req.FirstToken = options.StreamTimeout
	req.Retries, req.RetriesSet = options.Retries, options.Retries >= 0
	req.Tags = append(req.Tags, options.Tags...)
	req.Mock = mocks[options.Mock]
	if options.PrioritySet {
		req.Priority, req.PrioritySet = options.Priority, true
	}
	if err := takeRegion(options.Region, req); err != nil {
		return body, options.Cache, err
	}
	if err := h.takeFallbacks(&options, req); err != nil {
		return body, options.Cache, err
	}
	if len(rest) == len(body.Bytes()) {
		return body, options.Cache, nil
	}
	body.Release()
	body = apireq.BodyOf(rest)
	*facts, err = apireq.ScanJSON(rest)
	return body, options.Cache, err
}

// takeRegion keeps the request in a region that it names. It only ever narrows what
// the router allows.
func takeRegion(region string, req *engine.Request) error {
	switch {
	case region == "":
		return nil
	case len(req.Regions) > 0 && !slices.Contains(req.Regions, region):
		return &apireq.OptionError{Field: "allowed_model_region", Problem: "names a region in which this request may not be served"}
	}
	req.Regions = []string{region}
	return nil
}

// takeFallbacks finds the pools that a request wants to fall back to. One that
// is for other teams is refused like one that does not exist.
func (h *Handler) takeFallbacks(options *apireq.Options, req *engine.Request) error {
	for _, list := range []struct {
		field string
		names []string
		into  *[]engine.Target
	}{
		{"fallbacks", options.Fallbacks, &req.Fallbacks},
		{"context_window_fallbacks", options.ContextWindowFallbacks, &req.ContextWindow},
		{"content_policy_fallbacks", options.ContentPolicyFallbacks, &req.ContentPolicy},
	} {
		for _, name := range list.names {
			target, ok := h.router.Directory.ResolveFor(name, req.Team)
			if !ok {
				return &apireq.OptionError{
					Field:   list.field,
					Problem: "names the model " + strconv.Quote(name) + ", which does not exist or you do not have access to",
				}
			}
			*list.into = append(*list.into, target)
		}
	}
	req.FallbacksSet = options.FallbacksSet
	if options.DisableFallbacks { // the pool's other deployments are no fallbacks
		req.Fallbacks, req.FallbacksSet = nil, true
	}
	return nil
}
