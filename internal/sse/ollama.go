package sse

import "github.com/llmrouter/caddy-llm-router/internal/jsonwalk"

// ollama reads a line of Ollama's /api/chat or /api/generate.
func (f *facts) ollama(c *jsonwalk.Cursor) {
	isError := false
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "message":
			if !c.Open('{') {
				c.Value()
				break
			}
			for key, ok := c.Member(); ok; key, ok = c.Member() {
				f.ollamaPart(c, key)
			}
		case "done":
			f.finish = string(c.Value()) == "true"
		case "prompt_eval_count", "eval_count":
			f.usage = c.Whole()
			c.Value()
		case "error":
			isError = !jsonwalk.Blank(c.Value())
		case "logprobs":
			f.opaque = !jsonwalk.Blank(c.Value()) || f.opaque
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

func (f *facts) ollamaPart(c *jsonwalk.Cursor, key []byte) {
	switch string(key) {
	case "content", "response":
		f.addText(c, answer)
	case "thinking":
		f.addText(c, thinking)
	case "tool_calls", "images", "image":
		f.addOpaque(c)
	default:
		c.Value()
	}
}
