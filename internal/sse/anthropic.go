package sse

import (
	"slices"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// messages reads an event of Anthropic's Messages API. Its type stands in the
// data and is repeated in the name, which some servers leave out; keys may come
// in any order.
func (f *facts) messages(c *jsonwalk.Cursor, name []byte) {
	typ := name
	index, isError := 0, false
	var block part
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "type":
			typ = unquote(c.Value())
		case "index":
			index = c.Small()
		case "delta", "content_block":
			if c.Open('{') {
				if p := f.block(c); p != noPart {
					block = p
				}
			} else {
				c.Value()
			}
		case "message": // of message_start
			f.addUsageOf(c)
		case "usage": // of message_delta
			f.addUsage(c)
		case "error":
			isError = !jsonwalk.Blank(c.Value())
		default:
			c.Value()
		}
	}
	switch string(typ) {
	case "error":
		isError = true
	case "message_start":
		f.mark(messageStart)
	case "content_block_start":
		f.mark(block)
	case "content_block_delta":
		if block == signature && f.kind == Content {
			f.mark(signature)
		}
	case "content_block_stop":
		f.mark(blockStop)
	case "message_delta":
		// Its delta holds a stop reason, which is no content.
		f.kind, f.opaque, f.items = Lifecycle, false, f.items[:0]
		f.mark(messageDelta)
		index = 0
	case "message_stop":
		f.kind, f.finish = End, true
	default:
		if isHeartbeat(typ) {
			f.kind = KeepAlive
		}
	}
	if isError {
		f.kind = Error
	}
	for i := range f.items {
		f.items[i].index = int32(index)
	}
}

// mark puts a mark of the structure before the texts of the event.
func (f *facts) mark(p part) {
	if p == noPart || len(f.items) == cap(f.items) {
		f.opaque = true
		return
	}
	f.items = slices.Insert(f.items, 0, item{part: p})
}

// block reads a content block or a delta of one, and tells the mark that it
// makes, if one that is known.
func (f *facts) block(c *jsonwalk.Cursor) (mark part) {
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "type":
			switch string(unquote(c.Value())) {
			case "text":
				mark = textStart
			case "thinking":
				mark = thinkingStart
			case "signature_delta":
				mark = signature
			case "text_delta", "thinking_delta":
			case "input_json_delta":
				f.opaque = true
			default: // tool_use, redacted_thinking, the results of server tools
				f.opaque = true
				f.kind = Content
			}
		case "text":
			f.addText(c, answer)
		case "thinking":
			f.addText(c, thinking)
		case "signature":
			if !jsonwalk.Blank(c.Value()) {
				f.kind = Content
			}
		case "citations":
			f.opaque = !jsonwalk.Blank(c.Value()) || f.opaque
		default: // partial_json, data, citation and what comes next
			f.addOpaque(c)
		}
	}
	return mark
}

// unquote is what stands between the quotes of a JSON string, and the value
// itself where it is none.
func unquote(value []byte) []byte {
	if len(value) > 1 && value[0] == '"' {
		return value[1 : len(value)-1]
	}
	return value
}
