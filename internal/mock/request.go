package mock

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

const (
	// maxBody is the largest request body that is read, in bytes: what the
	// router lets through by default.
	maxBody = 64 << 20
	// maxModel is the longest model name, in bytes. Every event of a stream
	// repeats the name.
	maxModel = 256
)

// request is what the mock needs to know of a POST.
type request struct {
	dialect    api.Dialect
	embeddings bool
	countOnly  bool // Anthropic's count_tokens
	model      string
	stream     bool
	usage      bool // stream_options.include_usage
	body       gjson.Result
}

// problem is a request that the mock refuses, as a model server would.
type problem struct {
	dialect api.Dialect
	api.Error
}

func (p *problem) response(r *http.Request) *http.Response {
	return newResponse(r, p.Status, "application/json", p.JSON(p.dialect))
}

// readRequest reads the body of a POST. At most one of the first two results
// is set; the error is that of the body's reader.
func readRequest(r *http.Request) (*request, *problem, error) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	q := &request{
		dialect:    api.DialectOf(path),
		embeddings: strings.HasSuffix(path, "/embeddings"),
		countOnly:  strings.HasSuffix(path, "/count_tokens"),
	}
	refuse := func(status int, message, param, code string) (*request, *problem, error) {
		return nil, &problem{q.dialect, api.Error{Status: status, Message: message, Param: param, Code: code}}, nil
	}
	if q.dialect == api.Other && !q.embeddings {
		return refuse(http.StatusNotFound, unknownURL(r), "", "unknown_url")
	}
	body, err := readBody(r.Body)
	switch {
	case errors.Is(err, errTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "The request body is larger than 64 MiB.", "", "request_too_large")
	case err != nil:
		return nil, nil, err
	}
	// Not gjson's own check, which recurses without a limit.
	if !json.Valid(body) {
		return refuse(http.StatusBadRequest, "We could not parse the JSON body of your request.", "", "")
	}
	q.body = gjson.ParseBytes(body)
	if !q.body.IsObject() {
		return refuse(http.StatusBadRequest, "The JSON body of your request is not an object.", "", "")
	}
	model := q.body.Get("model")
	if model.Type != gjson.String || model.Str == "" {
		return refuse(http.StatusBadRequest, "you must provide a model parameter", "model", "")
	}
	if len(model.Str) > maxModel {
		return refuse(http.StatusBadRequest, "model: String should have at most 256 characters", "model", "")
	}
	q.model = model.Str
	// Ollama streams unless told not to; everybody else the other way round.
	stream := q.body.Get("stream")
	q.stream = stream.Bool() || q.dialect.NDJSON() && !stream.Exists()
	q.usage = q.body.Get("stream_options.include_usage").Bool()
	return q, nil, nil
}

var errTooLarge = errors.New("request body too large")

func readBody(body io.Reader) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxBody {
		return nil, errTooLarge
	}
	return b, nil
}

// promptTokens counts the words of the prompt, which is near enough to its
// tokens for a mock and easy to foretell in a test.
func (q *request) promptTokens() int {
	n := 0
	for _, field := range []string{"system", "instructions", "messages", "input", "prompt"} {
		n += words(q.body.Get(field), 0)
	}
	return n
}

// words counts the words of a text in any of the shapes that APIs take it: a
// string, a list of strings or of messages, a message whose content is one of
// these, a part with a text. Integers are token ids and count one each. No API
// nests deeper than the limit.
func words(v gjson.Result, depth int) int {
	const maxDepth = 6
	switch {
	case depth > maxDepth:
		return 0
	case v.Type == gjson.String:
		return len(strings.Fields(v.Str))
	case v.Type == gjson.Number:
		return 1
	case v.IsObject():
		return words(v.Get("content"), depth+1) + words(v.Get("text"), depth+1)
	case v.IsArray():
		n := 0
		v.ForEach(func(_, item gjson.Result) bool {
			n += words(item, depth+1)
			return true
		})
		return n
	}
	return 0
}
