package sse

import (
	"encoding/json"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// ErrorEvent renders e as one whole event that ends a stream in dialect d. It
// may follow any whole event. Sequence is the event's sequence_number in the
// Responses API and means nothing elsewhere.
func ErrorEvent(d api.Dialect, e api.Error, sequence int64) []byte {
	switch {
	case d.NDJSON():
		return append(e.JSON(d), '\n')
	case d == api.Messages:
		return frame("event: error\ndata: ", e.JSON(d))
	case d == api.Responses:
		return frame("event: error\ndata: ", responsesError(e, sequence))
	}
	return frame("data: ", e.JSON(d))
}

// UpstreamError renders an error event of the upstream's as one that ends a
// stream in dialect d: as it came, unless it came in an error field. Clients skip
// such a field, so what it says becomes an event that they read. The result is
// valid as long as ev is.
func UpstreamError(d api.Dialect, ev Event) []byte {
	if !ev.ErrorField {
		return ev.Raw
	}
	head := "data: "
	if d == api.Messages || d == api.Responses {
		head = "event: error\ndata: "
	}
	return append(appendLines([]byte(head), ev.Data), "\n\n"...)
}

// DoneEvent is the event that closes a complete stream in dialect d, nil where
// there is none.
func DoneEvent(d api.Dialect) []byte {
	if d == api.Chat || d == api.Completions {
		return []byte("data: [DONE]\n\n")
	}
	return nil
}

func frame(head string, data []byte) []byte {
	event := make([]byte, 0, len(head)+len(data)+2)
	event = append(event, head...)
	event = append(event, data...)
	return append(event, "\n\n"...)
}

// responsesError is flat, unlike every other error of OpenAI's.
func responsesError(e api.Error, sequence int64) []byte {
	data, err := json.Marshal(struct {
		Type     string  `json:"type"`
		Code     *string `json:"code"`
		Message  string  `json:"message"`
		Param    *string `json:"param"`
		Sequence int64   `json:"sequence_number"`
	}{"error", orNull(e.Code), e.Message, orNull(e.Param), sequence})
	if err != nil { // strings and a number always marshal
		panic(err)
	}
	return data
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
