package sse

// ollama reads a line of Ollama's /api/chat or /api/generate.
func (f *facts) ollama(c *cursor) {
	isError := false
	for key, ok := c.member(); ok; key, ok = c.member() {
		switch string(key) {
		case "message":
			if !c.open('{') {
				c.value()
				break
			}
			for key, ok := c.member(); ok; key, ok = c.member() {
				f.ollamaPart(c, key)
			}
		case "done":
			f.finish = string(c.value()) == "true"
		case "error":
			isError = !blank(c.value())
		case "logprobs":
			f.opaque = !blank(c.value()) || f.opaque
		default:
			f.ollamaPart(c, key)
		}
	}
	switch {
	case isError:
		f.kind = Error
	case f.finish && f.kind != Content:
		f.kind = End
	}
}

func (f *facts) ollamaPart(c *cursor, key []byte) {
	switch string(key) {
	case "content", "response":
		f.addText(c, answer)
	case "thinking":
		f.addText(c, thinking)
	case "tool_calls", "images", "image":
		f.addOpaque(c)
	default:
		c.value()
	}
}
