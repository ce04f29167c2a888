package mock

type responseObject struct {
	ID        string          `json:"id"`
	Object    string          `json:"object"`
	CreatedAt int64           `json:"created_at"`
	Status    string          `json:"status"`
	Error     any             `json:"error"`
	Model     string          `json:"model"`
	Output    []responseItem  `json:"output"`
	Usage     *responsesUsage `json:"usage"`
}

type responseItem struct {
	ID      string         `json:"id"`
	Type    string         `json:"type"`
	Status  string         `json:"status"`
	Role    string         `json:"role"`
	Content []responsePart `json:"content"`
}

type responsePart struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	Annotations []any  `json:"annotations"`
}

type responsesUsage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// responseEvent is any event of a Responses stream; which fields are set
// depends on its type.
type responseEvent struct {
	Type           string          `json:"type"`
	SequenceNumber int             `json:"sequence_number"`
	Response       *responseObject `json:"response,omitempty"`
	OutputIndex    *int            `json:"output_index,omitempty"`
	ContentIndex   *int            `json:"content_index,omitempty"`
	ItemID         string          `json:"item_id,omitempty"`
	Item           *responseItem   `json:"item,omitempty"`
	Part           *responsePart   `json:"part,omitempty"`
	Delta          *string         `json:"delta,omitempty"`
	Text           *string         `json:"text,omitempty"`
}

func (a *answerTo) response() any {
	return a.completed(a.inProgress(), newID("msg_"))
}

func (a *answerTo) inProgress() responseObject {
	return responseObject{
		ID: newID("resp_"), Object: "response", CreatedAt: a.created.Unix(), Status: "in_progress",
		Model: a.q.model, Output: []responseItem{},
	}
}

func (a *answerTo) completed(r responseObject, itemID string) responseObject {
	r.Status = "completed"
	r.Output = []responseItem{{
		ID: itemID, Type: "message", Status: "completed", Role: "assistant",
		Content: []responsePart{outputText(a.pieces.text())},
	}}
	r.Usage = &responsesUsage{
		InputTokens: a.input, OutputTokens: a.output(), TotalTokens: a.input + a.output(),
	}
	return r
}

func (a *answerTo) responseStream() script {
	var (
		zero     int
		started  = a.inProgress()
		itemID   = newID("msg_")
		finished = a.completed(started, itemID)
		item     = finished.Output[0]
		part     = item.Content[0]
		newItem  = responseItem{ID: itemID, Type: "message", Status: "in_progress", Role: "assistant", Content: []responsePart{}}
		newPart  = outputText("")
	)
	event := func(seq int, e responseEvent) []byte {
		e.SequenceNumber = seq
		return named(e.Type, e)
	}
	before := []responseEvent{
		{Type: "response.created", Response: &started},
		{Type: "response.in_progress", Response: &started},
		{Type: "response.output_item.added", OutputIndex: &zero, Item: &newItem},
		{Type: "response.content_part.added", OutputIndex: &zero, ContentIndex: &zero, ItemID: itemID, Part: &newPart},
	}
	after := []responseEvent{
		{Type: "response.output_text.done", OutputIndex: &zero, ContentIndex: &zero, ItemID: itemID, Text: &part.Text},
		{Type: "response.content_part.done", OutputIndex: &zero, ContentIndex: &zero, ItemID: itemID, Part: &part},
		{Type: "response.output_item.done", OutputIndex: &zero, Item: &item},
		{Type: "response.completed", Response: &finished},
	}
	s := script{
		pieces: len(a.pieces),
		piece: func(i int) []byte {
			return event(len(before)+i, responseEvent{
				Type: "response.output_text.delta", OutputIndex: &zero, ContentIndex: &zero,
				ItemID: itemID, Delta: &a.pieces[i],
			})
		},
	}
	for i, e := range before {
		s.before = append(s.before, event(i, e))
	}
	for i, e := range after {
		s.after = append(s.after, event(len(before)+len(a.pieces)+i, e))
	}
	return s
}

func outputText(text string) responsePart {
	return responsePart{Type: "output_text", Text: text, Annotations: []any{}}
}
