package mock

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// ollamaAnswer is a line of a stream or a whole answer: with Message for
// /api/chat, with Response for /api/generate.
type ollamaAnswer struct {
	Model           string       `json:"model"`
	CreatedAt       string       `json:"created_at"`
	Message         *chatMessage `json:"message,omitempty"`
	Response        *string      `json:"response,omitempty"`
	Done            bool         `json:"done"`
	DoneReason      string       `json:"done_reason,omitempty"`
	TotalDuration   int64        `json:"total_duration,omitempty"` // nanoseconds
	PromptEvalCount int          `json:"prompt_eval_count,omitempty"`
	EvalCount       int          `json:"eval_count,omitempty"`
}

func (a *answerTo) ollama() any { return a.ollamaEnd(a.pieces.text()) }

func (a *answerTo) ollamaStream() script {
	line := func(v ollamaAnswer) []byte { return append(marshal(v), '\n') }
	return script{
		pieces: len(a.pieces),
		piece:  func(i int) []byte { return line(a.ollamaLine(a.pieces[i])) },
		after:  [][]byte{line(a.ollamaEnd(""))},
	}
}

func (a *answerTo) ollamaLine(text string) ollamaAnswer {
	o := ollamaAnswer{Model: a.q.model, CreatedAt: a.created.UTC().Format(time.RFC3339Nano)}
	if a.q.dialect == api.OllamaChat {
		o.Message = &chatMessage{Role: "assistant", Content: text}
	} else {
		o.Response = &text
	}
	return o
}

func (a *answerTo) ollamaEnd(text string) ollamaAnswer {
	o := a.ollamaLine(text)
	o.Done, o.DoneReason = true, "stop"
	o.TotalDuration = int64(time.Millisecond)
	o.PromptEvalCount, o.EvalCount = a.input, a.output()
	return o
}
