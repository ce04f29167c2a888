package sse

import "github.com/llmrouter/caddy-llm-router/internal/jsonwalk"

// openAI reads a chunk of chat/completions or of completions. They differ in
// where a choice has its text, and servers mix them up, so one reader takes
// both.
func (f *facts) openAI(c *jsonwalk.Cursor) {
	var isError, heartbeat bool
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "choices":
			if !c.Open('[') {
				c.Value()
				break
			}
			for c.Element() {
				if !c.Open('{') {
					c.Value()
				} else if f.choice(c) {
					isError = true
				}
			}
		case "usage":
			f.addUsage(c)
		case "error":
			isError = !jsonwalk.Blank(c.Value()) || isError
		case "type", "object":
			value := c.Value()
			isError = string(value) == `"error"` || isError
			heartbeat = len(value) > 2 && isHeartbeat(value[1:len(value)-1]) || heartbeat
		default:
			c.Value()
		}
	}
	switch {
	case isError:
		f.kind = Error
	case heartbeat && f.kind == Lifecycle:
		f.kind = KeepAlive
	}
}

// choice reads one choice of a chunk and reports whether it says that the
// answer failed.
func (f *facts) choice(c *jsonwalk.Cursor) (isError bool) {
	index, finish := 0, false
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "index":
			index = c.Small()
		case "delta", "message":
			if c.Open('{') {
				f.delta(c)
			} else {
				c.Value()
			}
		case "text":
			f.addText(c, answer)
		case "finish_reason":
			reason := c.Value()
			isError = string(reason) == `"error"` || isError
			finish = !jsonwalk.Blank(reason)
		case "error":
			isError = !jsonwalk.Blank(c.Value()) || isError
		case "logprobs":
			// They repeat the text, token by token.
			f.opaque = !jsonwalk.Blank(c.Value()) || f.opaque
		default:
			c.Value()
		}
	}
	f.opaque = index != 0 || f.opaque
	f.seen.add(index)
	if finish {
		f.finished.add(index)
		f.finish = true
	}
	return isError
}

func (f *facts) delta(c *jsonwalk.Cursor) {
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "role":
			c.Value()
		case "content":
			f.addText(c, answer)
		case "reasoning_content":
			f.addText(c, reasoningContent)
		case "reasoning":
			f.addText(c, reasoning)
		case "refusal":
			f.addText(c, refusal)
		case "tool_calls", "function_call", "audio", "images", "reasoning_details":
			f.addOpaque(c)
		default:
			// Not known to be content, but perhaps a remark on the text beside
			// it, such as Gemini's "this is a thought".
			switch c.Peek() {
			case '"', '{', '[':
				f.opaque = !jsonwalk.Blank(c.Value()) || f.opaque
			default:
				c.Value()
			}
		}
	}
}
