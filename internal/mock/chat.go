package mock

type chatMessage struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

type chatChoice struct {
	Index        int          `json:"index"`
	Message      *chatMessage `json:"message,omitempty"`
	Delta        any          `json:"delta,omitempty"`
	Logprobs     any          `json:"logprobs"`
	FinishReason *string      `json:"finish_reason"`
}

type chatCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   *openAIUsage `json:"usage,omitempty"`
}

type openAIUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func (a *answerTo) openAIUsage() *openAIUsage {
	return &openAIUsage{PromptTokens: a.input, CompletionTokens: a.output(), TotalTokens: a.input + a.output()}
}

// stop is the finish_reason of an answer that ended by itself.
var stop = "stop"

func (a *answerTo) chat() any {
	return chatCompletion{
		ID: newID("chatcmpl-"), Object: "chat.completion", Created: a.created.Unix(), Model: a.q.model,
		Choices: []chatChoice{{
			Message:      &chatMessage{Role: "assistant", Content: a.pieces.text()},
			FinishReason: &stop,
		}},
		Usage: a.openAIUsage(),
	}
}

func (a *answerTo) chatStream() script {
	chunk := chatCompletion{
		ID: newID("chatcmpl-"), Object: "chat.completion.chunk", Created: a.created.Unix(), Model: a.q.model,
	}
	event := func(c chatChoice) []byte {
		e := chunk
		e.Choices = []chatChoice{c}
		return data(e)
	}
	s := script{
		before: [][]byte{event(chatChoice{Delta: chatMessage{Role: "assistant"}})},
		pieces: len(a.pieces),
		piece:  func(i int) []byte { return event(chatChoice{Delta: chatMessage{Content: a.pieces[i]}}) },
		after:  [][]byte{event(chatChoice{Delta: struct{}{}, FinishReason: &stop})},
	}
	if a.q.usage {
		e := chunk
		e.Choices, e.Usage = []chatChoice{}, a.openAIUsage()
		s.after = append(s.after, data(e))
	}
	s.after = append(s.after, done)
	return s
}
