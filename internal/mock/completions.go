package mock

type textChoice struct {
	Text         string  `json:"text"`
	Index        int     `json:"index"`
	Logprobs     any     `json:"logprobs"`
	FinishReason *string `json:"finish_reason"`
}

type textCompletion struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"`
	Model   string       `json:"model"`
	Choices []textChoice `json:"choices"`
	Usage   *openAIUsage `json:"usage,omitempty"`
}

func (a *answerTo) completion() any {
	c := a.newCompletion()
	c.Choices = []textChoice{{Text: a.pieces.text(), FinishReason: &stop}}
	c.Usage = a.openAIUsage()
	return c
}

func (a *answerTo) completionStream() script {
	chunk := a.newCompletion()
	event := func(c textChoice) []byte {
		e := chunk
		e.Choices = []textChoice{c}
		return data(e)
	}
	s := script{
		pieces: len(a.pieces),
		piece:  func(i int) []byte { return event(textChoice{Text: a.pieces[i]}) },
		after:  [][]byte{event(textChoice{FinishReason: &stop})},
	}
	if a.q.usage {
		e := chunk
		e.Choices, e.Usage = []textChoice{}, a.openAIUsage()
		s.after = append(s.after, data(e))
	}
	s.after = append(s.after, done)
	return s
}

func (a *answerTo) newCompletion() textCompletion {
	return textCompletion{
		ID: newID("cmpl-"), Object: "text_completion", Created: a.created.Unix(), Model: a.q.model,
	}
}
