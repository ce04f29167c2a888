package sse

import "bytes"

// responses reads an event of OpenAI's Responses API. Its type stands in the
// data and is repeated in the name.
func (f *facts) responses(c *cursor, name []byte) {
	typ := name
	f.opaque = true
	var hasDelta, hasText, isError bool
	for key, ok := c.member(); ok; key, ok = c.member() {
		switch string(key) {
		case "type":
			typ = unquote(c.value())
		case "delta":
			hasDelta = !blank(c.value())
		case "text", "arguments", "input", "code", "refusal", "transcript":
			hasText = !blank(c.value()) || hasText
		case "sequence_number":
			f.sequence = int64(c.small()) + 1
		case "error":
			isError = !blank(c.value())
		default:
			c.value()
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
		case bytes.HasSuffix(typ, []byte(".delta")) && hasDelta,
			// A server without deltas sends the text of a part once, whole.
			bytes.HasSuffix(typ, []byte(".done")) && hasText:
			f.kind = Content
		}
	}
	if isError {
		f.kind = Error
	}
}
