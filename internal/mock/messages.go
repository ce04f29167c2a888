package mock

type anthropicMessage struct {
	ID           string           `json:"id"`
	Type         string           `json:"type"`
	Role         string           `json:"role"`
	Model        string           `json:"model"`
	Content      []anthropicBlock `json:"content"`
	StopReason   *string          `json:"stop_reason"`
	StopSequence *string          `json:"stop_sequence"`
	Usage        anthropicUsage   `json:"usage"`
}

type anthropicBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type anthropicUsage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
}

type anthropicDelta struct {
	Type  string            `json:"type"`
	Delta anthropicStop     `json:"delta"`
	Usage anthropicUsageOut `json:"usage"`
}

type anthropicStop struct {
	StopReason   string  `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
}

type anthropicUsageOut struct {
	OutputTokens int `json:"output_tokens"`
}

// anthropicContent is any event about the one content block.
type anthropicContent struct {
	Type         string          `json:"type"`
	Index        int             `json:"index"`
	ContentBlock *anthropicBlock `json:"content_block,omitempty"`
	Delta        *anthropicBlock `json:"delta,omitempty"`
}

// endTurn is the stop_reason of an answer that ended by itself.
var endTurn = "end_turn"

func (a *answerTo) newMessage() anthropicMessage {
	return anthropicMessage{
		ID: newID("msg_"), Type: "message", Role: "assistant", Model: a.q.model,
		Content: []anthropicBlock{}, Usage: anthropicUsage{InputTokens: a.input},
	}
}

func (a *answerTo) message() any {
	m := a.newMessage()
	m.Content = []anthropicBlock{{Type: "text", Text: a.pieces.text()}}
	m.StopReason = &endTurn
	m.Usage.OutputTokens = a.output()
	return m
}

func (a *answerTo) messageStream() script {
	start := a.newMessage()
	start.Usage.OutputTokens = 1 // as Anthropic does: the total comes at the end
	return script{
		before: [][]byte{
			named("message_start", struct {
				Type    string           `json:"type"`
				Message anthropicMessage `json:"message"`
			}{"message_start", start}),
			named("content_block_start", anthropicContent{
				Type: "content_block_start", ContentBlock: &anthropicBlock{Type: "text"},
			}),
			named("ping", map[string]string{"type": "ping"}),
		},
		pieces: len(a.pieces),
		piece: func(i int) []byte {
			return named("content_block_delta", anthropicContent{
				Type: "content_block_delta", Delta: &anthropicBlock{Type: "text_delta", Text: a.pieces[i]},
			})
		},
		after: [][]byte{
			named("content_block_stop", anthropicContent{Type: "content_block_stop"}),
			named("message_delta", anthropicDelta{
				Type: "message_delta", Delta: anthropicStop{StopReason: endTurn},
				Usage: anthropicUsageOut{OutputTokens: a.output()},
			}),
			named("message_stop", map[string]string{"type": "message_stop"}),
		},
	}
}
