package upstreams

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// slowBody is an answer that comes in pieces, a second after one another, and ends
// with err; with silence where that is nil.
type slowBody struct {
	ctx    context.Context
	pieces []string
	err    error
}

func (b *slowBody) Read(p []byte) (int, error) {
	wait := time.After(time.Second)
	if len(b.pieces) == 0 && b.err == nil {
		wait = nil
	}
	select {
	case <-wait:
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
	if len(b.pieces) == 0 {
		return 0, b.err
	}
	n := copy(p, b.pieces[0])
	if b.pieces[0] = b.pieces[0][n:]; b.pieces[0] == "" {
		b.pieces = b.pieces[1:]
	}
	return n, nil
}

func (b *slowBody) Close() error { return nil }

// leaving is a client that leaves before the given write.
type leaving struct {
	http.ResponseWriter
	before, writes int
}

func (l *leaving) Write(p []byte) (int, error) {
	if l.writes++; l.before > 0 && l.writes >= l.before {
		return 0, errors.New("client gone")
	}
	return l.ResponseWriter.Write(p)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// accountCase is an upstream's answer and what its attempt comes to.
type accountCase struct {
	path        string // default: chat
	contentType string // default: a stream of events
	status      int
	pieces      []string
	err         error // after the pieces; default: the end
	silent      bool  // after the pieces
	leaves      int   // the write that the client does not take; 0 is none

	class      retry.Class
	usage      usage.Usage
	invalid    bool
	streamed   bool
	firstToken time.Duration // atEnd: as long as all took
}

const (
	atEnd = -1
	some  = -2 // how long is not asked
)

func (tt accountCase) run(t *testing.T) {
	d := bareDeployment(t, "http://h/v1")
	d.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		contentType := "text/event-stream"
		if tt.contentType != "" {
			contentType = tt.contentType
		}
		body := &slowBody{ctx: r.Context(), pieces: tt.pieces, err: tt.err}
		if tt.err == nil && !tt.silent {
			body.err = io.EOF
		}
		res := response(max(tt.status, 200), contentType, nil)
		res.Body = body
		return res, nil
	})
	path := tt.path
	if path == "" {
		path = "/v1/chat/completions"
	}
	x, w := newExchange(t, post(path), `{"model":"gpt-4o","messages":[`+strings.Repeat(" ", 38)+`]}`) // 10 tokens
	x.w = &leaving{ResponseWriter: w, before: tt.leaves}
	x.control = *http.NewResponseController(w)
	a := attemptOn(d)
	a.Limit, a.Idle = time.Hour, time.Minute
	start := time.Now()
	out := x.Attempt(t.Context(), a)
	if out.Class == retry.None {
		if out.Usage != (usage.Usage{}) {
			t.Errorf("got %+v before the delivery, want nothing yet", out.Usage)
		}
		out = x.Deliver(t.Context(), a)
	}
	if tt.firstToken == atEnd {
		tt.firstToken = time.Since(start)
	}
	if tt.firstToken == some && out.FirstToken > 0 {
		tt.firstToken = out.FirstToken
	}
	got := engine.Outcome{Class: out.Class, Usage: out.Usage, Invalid: out.Invalid, Streamed: out.Streamed, FirstToken: out.FirstToken}
	want := engine.Outcome{Class: tt.class, Usage: tt.usage, Invalid: tt.invalid, Streamed: tt.streamed, FirstToken: tt.firstToken}
	if got != want {
		t.Errorf("got %+v (%v), want %+v", got, out.Err, want)
	}
}

const (
	roleEvent   = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	textEvent   = `data: {"choices":[{"index":0,"delta":{"content":"Hello there, you"}}]}` + "\n\n" // 4 tokens
	finishEvent = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usageEvent  = `data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12}}` + "\n\n"
	doneEvent   = "data: [DONE]\n\n"
)

func reported(input, output int64) usage.Usage {
	return usage.Usage{Input: input, Output: output, State: usage.Reported}
}

func estimated(input, output int64) usage.Usage {
	return usage.Usage{Input: input, Output: output, State: usage.Estimated}
}

func TestAccountOfStreams(t *testing.T) {
	const second = time.Second
	cut := errors.New("connection reset")
	for name, tt := range map[string]accountCase{
		"reported":                     {pieces: []string{roleEvent, textEvent, finishEvent, usageEvent, doneEvent}, usage: reported(7, 5), firstToken: 2 * second},
		"reported without [DONE]":      {pieces: []string{textEvent, finishEvent, usageEvent}, usage: reported(7, 5), firstToken: second},
		"complete, without an account": {pieces: []string{textEvent, finishEvent, doneEvent}, firstToken: second},
		"complete, with nonsense": {
			pieces: []string{textEvent, strings.Replace(usageEvent, "7", "-7", 1), finishEvent, doneEvent},
			usage:  usage.Usage{}, invalid: true, firstToken: second,
		},
		"cut":                                  {pieces: []string{roleEvent, textEvent, textEvent}, class: retry.Connection, err: cut, usage: estimated(10, 8), firstToken: 2 * second},
		"ended early":                          {pieces: []string{textEvent}, class: retry.Connection, usage: estimated(10, 4), firstToken: second},
		"cut, after a finish without account":  {pieces: []string{textEvent, finishEvent}, err: cut, firstToken: second},
		"cut, after nonsense":                  {pieces: []string{textEvent, strings.Replace(usageEvent, "7", "-7", 1)}, class: retry.Connection, err: cut, usage: estimated(10, 4), firstToken: second},
		"silent":                               {pieces: []string{textEvent}, class: retry.Timeout, silent: true, usage: estimated(10, 4), firstToken: second},
		"an error event":                       {pieces: []string{textEvent, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n"}, class: retry.Overloaded, usage: estimated(10, 4), firstToken: second},
		"a client that leaves":                 {pieces: []string{textEvent, textEvent, textEvent, finishEvent, usageEvent, doneEvent}, leaves: 2, class: retry.Canceled, usage: estimated(10, 8), firstToken: second},
		"a client that leaves at the finish":   {pieces: []string{textEvent, finishEvent, usageEvent, doneEvent}, leaves: 2, class: retry.Canceled, usage: estimated(10, 4), firstToken: second},
		"a client that leaves after the usage": {pieces: []string{textEvent, finishEvent, usageEvent, doneEvent}, leaves: 3, class: retry.Canceled, usage: reported(7, 5), firstToken: second},
		"cut before any content":               {pieces: []string{roleEvent}, class: retry.Connection, err: cut},
		"an error before any content":          {pieces: []string{usageEvent, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n"}, class: retry.Overloaded},
		"Anthropic": {
			path: "/v1/messages", usage: usage.Usage{Input: 30, Output: 9, Cached: 5, State: usage.Reported}, firstToken: 2 * second,
			pieces: []string{anthropicStart, anthropicText, `data: {"type":"message_delta","delta":{},"usage":{"output_tokens":9}}` + "\n\n", "data: {\"type\":\"message_stop\"}\n\n"},
		},
		"Anthropic, cut": {
			path: "/v1/messages", class: retry.Connection, usage: usage.Usage{Input: 30, Output: 2, Cached: 5, State: usage.Estimated},
			firstToken: 2 * second, pieces: []string{anthropicStart, anthropicText}, err: cut,
		},
		"Ollama": {
			path: "/api/chat", contentType: "application/x-ndjson", usage: reported(7, 5), firstToken: second,
			pieces: []string{`{"message":{"content":"Hi"},"done":false}` + "\n", `{"message":{"content":""},"done":true,"prompt_eval_count":7,"eval_count":5}` + "\n"},
		},
		"Responses": {
			path: "/v1/responses", usage: reported(7, 5), firstToken: second,
			pieces: []string{
				`data: {"type":"response.output_text.delta","delta":"Hi"}` + "\n\n",
				`data: {"type":"response.completed","response":{"usage":{"input_tokens":7,"output_tokens":5}}}` + "\n\n",
			},
		},
		"vLLM's running account, cut": {
			pieces: []string{vLLMEvent}, class: retry.Connection, err: cut, usage: estimated(7, 3), firstToken: second,
		},
		"passed unread": {
			pieces: []string{vLLMEvent, hugeEvent, finishEvent, usageEvent, doneEvent}, invalid: true, firstToken: second,
		},
		"passed unread from the start": {pieces: []string{hugeEvent, usageEvent, doneEvent}, invalid: true, firstToken: some},
		"passed unread, cut":           {pieces: []string{hugeEvent}, err: cut, class: retry.Connection, usage: estimated(10, 0), firstToken: some},
	} {
		tt.streamed = true
		t.Run(name, func(t *testing.T) { synctest.Test(t, tt.run) })
	}
}

var hugeEvent = `data: {"choices":[{"index":0,"delta":{"content":"` + strings.Repeat("x", sse.MaxEvent) + `"}}]}` + "\n\n"

const (
	vLLMEvent      = `data: {"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":{"prompt_tokens":7,"completion_tokens":3}}` + "\n\n"
	anthropicStart = `data: {"type":"message_start","message":{"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}` + "\n\n"
	anthropicText  = `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}` + "\n\n"
)

func TestAccountOfWholeAnswers(t *testing.T) {
	const (
		jsonType = "application/json"
		object   = `"usage":{"prompt_tokens":7,"completion_tokens":5}`
	)
	long := `{"data":"` + strings.Repeat("x", holdWholeLimit) + `",`
	for name, tt := range map[string]accountCase{
		"reported":                        {pieces: []string{`{"choices":[],`, object + `}`}, usage: reported(7, 5), firstToken: atEnd},
		"without an account":              {pieces: []string{`{"choices":[]}`}, firstToken: atEnd},
		"nonsense":                        {pieces: []string{`{"usage":{"prompt_tokens":"7"}}`}, invalid: true, firstToken: atEnd},
		"an error":                        {pieces: []string{`{"error":{"message":"overloaded"},` + object + `}`}, status: 503, class: retry.Overloaded},
		"an error with a good status":     {pieces: []string{`{"error":{"message":"overloaded"},` + object + `}`}, class: retry.Overloaded},
		"cut":                             {pieces: []string{`{"choices":[`}, err: errors.New("connection reset"), class: retry.Connection},
		"a client that leaves":            {pieces: []string{`{"choices":[],` + object + `}`}, leaves: 1, class: retry.Canceled, usage: reported(7, 5), firstToken: atEnd},
		"audio":                           {contentType: "audio/mpeg", pieces: []string{"ID3" + object}, firstToken: atEnd},
		"audio, cut":                      {contentType: "audio/mpeg", pieces: []string{"ID3"}, err: errors.New("connection reset"), class: retry.Connection, usage: estimated(10, 0)},
		"too long to be held, cut":        {pieces: chunks(long), err: errors.New("connection reset"), class: retry.Connection, usage: estimated(10, 0)},
		"too long, a client that leaves":  {pieces: chunks(long + object + `}`), leaves: 2, class: retry.Canceled, usage: estimated(10, 0)},
		"too long to be held, no account": {pieces: chunks(long + `"a":1}`), firstToken: atEnd},
		"too long to be held":             {pieces: chunks(long + object + `}`), usage: reported(7, 5), firstToken: atEnd},
		"too long to be held, in front":   {pieces: chunks(`{` + object + `,` + long[1:] + `"a":1}`), usage: reported(7, 5), firstToken: atEnd},
	} {
		if tt.contentType == "" {
			tt.contentType = jsonType
		}
		t.Run(name, func(t *testing.T) { synctest.Test(t, tt.run) })
	}
}

// chunks cuts a text into what one read takes at most.
func chunks(s string) (pieces []string) {
	const size = holdSize
	for ; len(s) > size; s = s[size:] {
		pieces = append(pieces, s[:size])
	}
	return append(pieces, s)
}
