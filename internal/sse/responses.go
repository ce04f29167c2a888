package sse

import (
	"bytes"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// responses reads an event of OpenAI's Responses API. Its type stands in the
// data and is repeated in the name.
func (f *facts) responses(c *jsonwalk.Cursor, name []byte) {
	typ := name
	f.opaque = true
	var delta []byte
	var hasText, isError bool
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "type":
			typ = unquote(c.Value())
		case "delta":
			delta = c.Value()
		case "text", "arguments", "input", "code", "refusal", "transcript":
			hasText = !jsonwalk.Blank(c.Value()) || hasText
		case "response":
			f.addResponse(c)
		case "sequence_number":
			f.sequence = int64(c.Small()) + 1
		case "error":
			isError = !jsonwalk.Blank(c.Value())
		default:
			c.Value()
		}
	}
	switch string(typ) {
	case "error", "response.failed":
		isError = true
	case "response.completed", "response.incomplete":
		f.kind, f.finish = End, true
	case "response.image_generation_call.partial_image":
		f.kind = Content
	default:
		switch {
		case isHeartbeat(typ):
			f.kind = KeepAlive
		case bytes.HasSuffix(typ, []byte(".delta")) && !jsonwalk.Blank(delta):
			f.kind = Content
			if bytes.HasSuffix(typ, []byte("text.delta")) { // others may be base64
				f.text = len(unquote(delta))
			}
		case bytes.HasSuffix(typ, []byte(".done")) && hasText:
			// A server without deltas sends the text of a part once, whole.
			f.kind = Content
		}
	}
	if isError {
		f.kind = Error
	}
}

// addResponse takes note of the id and the usage of the response that comes next, as
// it is so far.
func (f *facts) addResponse(c *jsonwalk.Cursor) {
	if !c.Open('{') {
		c.Value()
		return
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch {
		case string(key) == "usage":
			f.addUsage(c)
		case string(key) == "id" && c.Peek() == '"':
			f.answerID, _ = c.Text()
		default:
			c.Value()
		}
	}
}
