package mock

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// answer makes the good answer to a request.
func (t *Transport) answer(r *http.Request, q *request) *http.Response {
	switch {
	case q.embeddings:
		return embeddings(r, q)
	case q.countOnly:
		return newResponse(r, http.StatusOK, "application/json",
			marshal(map[string]int{"input_tokens": q.promptTokens()}))
	}
	a := answerTo{q: q, pieces: t.pieces(q.model), input: q.promptTokens(), created: time.Now()}
	var (
		whole  func() any
		stream func() script
	)
	switch q.dialect {
	case api.Chat:
		whole, stream = a.chat, a.chatStream
	case api.Completions:
		whole, stream = a.completion, a.completionStream
	case api.Responses:
		whole, stream = a.response, a.responseStream
	case api.Messages:
		whole, stream = a.message, a.messageStream
	default: // the two of Ollama; readRequest lets no other through
		whole, stream = a.ollama, a.ollamaStream
	}
	if !q.stream {
		return newResponse(r, http.StatusOK, "application/json", marshal(whole()))
	}
	contentType := "text/event-stream; charset=utf-8"
	if q.dialect.NDJSON() {
		contentType = "application/x-ndjson"
	}
	resp := newResponse(r, http.StatusOK, contentType, nil)
	resp.Header.Set("Cache-Control", "no-cache")
	resp.Header.Del("Content-Length")
	resp.ContentLength = -1
	resp.Body = newBody(r.Context(), stream(), time.Duration(t.FirstToken), time.Duration(t.Interval))
	return resp
}

// answerTo is one answer before it is put into a dialect.
type answerTo struct {
	q       *request
	pieces  pieces
	input   int // tokens of the prompt
	created time.Time
}

func (a *answerTo) output() int { return len(a.pieces) }

// newResponse makes a response with a whole body.
func newResponse(r *http.Request, status int, contentType string, body []byte) *http.Response {
	resp := &http.Response{
		Status:        strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, 5),
		ContentLength: int64(len(body)),
		Body:          io.NopCloser(bytes.NewReader(body)),
		Request:       r,
	}
	resp.Header.Set("Content-Type", contentType)
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	resp.Header.Set("X-Request-Id", newID("req_"))
	if r.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp
}

// newID makes an id that looks like those of the providers.
func newID(prefix string) string {
	var b [12]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())
	binary.LittleEndian.PutUint32(b[8:], rand.Uint32())
	return prefix + hex.EncodeToString(b[:])
}

// data renders a server-sent event without a name.
func data(v any) []byte {
	return append(append([]byte("data: "), marshal(v)...), "\n\n"...)
}

// named renders a server-sent event with a name.
func named(event string, v any) []byte {
	return append([]byte("event: "+event+"\n"), data(v)...)
}

// done is OpenAI's end of a stream.
var done = []byte("data: [DONE]\n\n")
