package sse

import (
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

func TestInspectFindsTheIDOfAnAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		dialect    api.Dialect
		data, want string
	}{
		"created":            {api.Responses, `{"type":"response.created","response":{"object":"response","id":"resp_1","output":[{"id":"msg"}],"usage":null}}`, "resp_1"},
		"completed":          {api.Responses, `{"type":"response.completed","response":{"usage":{"input_tokens":1},"id":"resp_1"}}`, "resp_1"},
		"an item's":          {api.Responses, `{"type":"response.output_item.added","item":{"id":"msg_1"}}`, ""},
		"null":               {api.Responses, `{"type":"response.created","response":{"id":null}}`, ""},
		"a number":           {api.Responses, `{"type":"response.created","response":{"id":7}}`, ""},
		"a response of text": {api.Responses, `{"type":"response.created","response":"id"}`, ""},
		"of another dialect": {api.Chat, `{"id":"chatcmpl-1","response":{"id":"resp_1"},"choices":[]}`, ""},
		"the event's":        {api.Responses, `{"id":"evt_1","type":"response.in_progress"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(Inspect(tt.dialect, Event{Data: []byte(tt.data)}).AnswerID); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
