package sse

// openAI reads a chunk of chat/completions or of completions. They differ in
// where a choice has its text, and servers mix them up, so one reader takes
// both.
func (f *facts) openAI(c *cursor) {
	var isError, heartbeat bool
	for key, ok := c.member(); ok; key, ok = c.member() {
		switch string(key) {
		case "choices":
			if !c.open('[') {
				c.value()
				break
			}
			for c.element() {
				if !c.open('{') {
					c.value()
				} else if f.choice(c) {
					isError = true
				}
			}
		case "error":
			isError = !blank(c.value()) || isError
		case "type", "object":
			value := c.value()
			isError = string(value) == `"error"` || isError
			heartbeat = len(value) > 2 && isHeartbeat(value[1:len(value)-1]) || heartbeat
		default:
			c.value()
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
func (f *facts) choice(c *cursor) (isError bool) {
	index, finish := 0, false
	for key, ok := c.member(); ok; key, ok = c.member() {
		switch string(key) {
		case "index":
			index = c.small()
		case "delta", "message":
			if c.open('{') {
				f.delta(c)
			} else {
				c.value()
			}
		case "text":
			f.addText(c, answer)
		case "finish_reason":
			reason := c.value()
			isError = string(reason) == `"error"` || isError
			finish = !blank(reason)
		case "error":
			isError = !blank(c.value()) || isError
		case "logprobs":
			// They repeat the text, token by token.
			f.opaque = !blank(c.value()) || f.opaque
		default:
			c.value()
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

func (f *facts) delta(c *cursor) {
	for key, ok := c.member(); ok; key, ok = c.member() {
		switch string(key) {
		case "role":
			c.value()
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
			switch c.peek() {
			case '"', '{', '[':
				f.opaque = !blank(c.value()) || f.opaque
			default:
				c.value()
			}
		}
	}
}
