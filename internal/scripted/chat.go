package scripted

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// OK answers a chat completion with text, streamed word by word if the request
// asks for a stream. The model of the answer is the model of the request, and
// the usage says 3 tokens in and one a word out (in a stream only when asked
// for).
func OK(text string) Step {
	return func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Model         string
			Stream        bool
			StreamOptions struct {
				IncludeUsage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &q)
		tokens := strings.SplitAfter(text, " ")
		usage := fmt.Sprintf(`{"prompt_tokens":3,"completion_tokens":%d,"total_tokens":%d}`, len(tokens), len(tokens)+3)
		if !q.Stream {
			Reply(http.StatusOK, nil, `{"id":"chatcmpl-1","object":"chat.completion","created":1735689600,"model":`+quote(q.Model)+
				`,"choices":[{"index":0,"message":{"role":"assistant","content":`+quote(text)+
				`},"logprobs":null,"finish_reason":"stop"}],"usage":`+usage+`}`)(w, r)
			return
		}
		events := ChatEvents(q.Model, tokens...)
		if q.StreamOptions.IncludeUsage {
			last := chunk(q.Model, `[]`, `,"usage":`+usage)
			events = append(events[:len(events)-1], last, "[DONE]")
		}
		stream(w, r, 0, events)
	}
}

// Chat streams a chat completion of these tokens, interval apart, whatever was
// asked for.
func Chat(interval time.Duration, tokens ...string) Step {
	return Stream(interval, ChatEvents("scripted", tokens...)...)
}

// ChatEvents are the events of a whole chat stream: the role, one for each
// token, the finish and [DONE].
func ChatEvents(model string, tokens ...string) []string {
	events := []string{chunk(model, choice(`{"role":"assistant","content":""}`, "null"), "")}
	for _, token := range tokens {
		events = append(events, chunk(model, choice(`{"content":`+quote(token)+`}`, "null"), ""))
	}
	return append(events, chunk(model, choice(`{}`, `"stop"`), ""), "[DONE]")
}

func choice(delta, finish string) string {
	return `[{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}]`
}

func chunk(model, choices, rest string) string {
	return `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1735689600,"model":` + quote(model) +
		`,"choices":` + choices + rest + `}`
}

// Error answers with an error body as OpenAI writes it. An empty code is null.
func Error(status int, kind, code, message string) Step {
	c := "null"
	if code != "" {
		c = quote(code)
	}
	return Reply(status, nil, `{"error":{"message":`+quote(message)+`,"type":`+quote(kind)+`,"param":null,"code":`+c+`}}`)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		panic(err)
	}
	return string(b)
}
