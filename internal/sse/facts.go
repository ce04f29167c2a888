package sse

import (
	"bytes"

	"github.com/llmrouter/caddy-llm-router/internal/api"
	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// facts is what one pass over an event finds, for any dialect.
type facts struct {
	kind   Kind
	finish bool // the answer is complete, or one choice of it
	done   bool // [DONE]
	// opaque says that the event holds output that is not one plain text, so
	// that a second stream cannot be matched with it.
	opaque   bool
	sequence int64
	usage    []byte // an object with the usage in it
	answerID []byte // as it is written, without quotes
	text     int    // bytes of text

	seen, finished choices

	// items are the parts of the answer, as many as there is room for.
	items []item
}

// maxItems is how many items an event has at most that can be matched with another.
const maxItems = 6

// item is a part of the answer: a piece of text, or a mark of its structure.
type item struct {
	part  part
	index int32 // of the content block, in dialects that have them
	// from and to are where a text stands in the event's data, without quotes.
	from, to int
}

// part is what a piece of an answer is a piece of. What two streams call the
// same has to be the same part.
type part uint8

const (
	noPart part = iota

	answer
	reasoningContent // "reasoning_content"
	reasoning        // "reasoning"
	refusal
	thinking

	// Those below are marks without text.

	messageStart
	messageDelta
	textStart
	thinkingStart
	signature
	blockStop
)

func (p part) isText() bool { return p > noPart && p < messageStart }

// add takes note of an item. An event with more items than anybody sends is
// opaque.
func (f *facts) add(it item) {
	if len(f.items) == cap(f.items) {
		f.opaque = true
		return
	}
	f.items = append(f.items, it)
}

// addText takes note of the string that comes next as a text of part p. What is
// not a string but holds something is content of an unknown make.
func (f *facts) addText(c *jsonwalk.Cursor, p part) {
	if c.Peek() != '"' {
		f.addOpaque(c)
		return
	}
	raw, from := c.Text()
	if len(raw) == 0 {
		return
	}
	f.kind = Content
	f.text += len(raw)
	f.add(item{part: p, from: from, to: from + len(raw)})
}

// addOpaque takes note of the value that comes next as content, unless blank.
func (f *facts) addOpaque(c *jsonwalk.Cursor) {
	if !jsonwalk.Blank(c.Value()) {
		f.kind = Content
		f.opaque = true
	}
}

// addUsage takes note of the value that comes next as the usage. Servers that
// account at the end alone send null until then.
func (f *facts) addUsage(c *jsonwalk.Cursor) {
	if value := c.Value(); !jsonwalk.Blank(value) {
		f.usage = value
	}
}

// addUsageOf is addUsage for the object that comes next, an answer or the
// beginning of one.
func (f *facts) addUsageOf(c *jsonwalk.Cursor) {
	if !c.Open('{') {
		c.Value()
		return
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		if string(key) == "usage" {
			f.addUsage(c)
		} else {
			c.Value()
		}
	}
}

// examine finds the facts of an event. Its items are put into room, where there is any.
func examine(d api.Dialect, ev Event, room []item) (f facts) {
	f.items = room[:0]
	data := bytes.Trim(ev.Data, " \t\r\n")
	switch {
	case string(ev.Name) == "error":
		f.kind = Error
		return f
	case len(data) == 0 || isHeartbeat(ev.Name):
		f.kind = KeepAlive
		return f
	case string(data) == "[DONE]":
		f.kind, f.done = End, true
		return f
	case !jsonwalk.Valid(data):
		f.kind = Invalid
		if d == api.Other { // nobody said that it has to be JSON
			f.kind, f.opaque = Content, true
		}
		return f
	}
	f.kind = Lifecycle
	c := jsonwalk.New(ev.Data)
	c.Open('[') // some servers wrap an error in an array
	if !c.Open('{') {
		if d == api.Other {
			f.kind = Content
		}
		return f
	}
	switch d {
	case api.Chat, api.Completions:
		f.openAI(&c)
	case api.Messages:
		f.messages(&c, ev.Name)
	case api.Responses:
		f.responses(&c, ev.Name)
	case api.OllamaChat, api.OllamaGenerate:
		f.ollama(&c)
	default:
		f.other(&c)
	}
	if f.kind == Error {
		f.finish, f.finished = false, choices{}
	}
	return f
}

// isHeartbeat reports whether an event of this name or type only says that the
// server is alive.
func isHeartbeat(name []byte) bool {
	switch string(name) {
	case "ping", "keepalive", "keep-alive", "heartbeat":
		return true
	}
	return false
}

// other knows of unknown streams what most have in common.
func (f *facts) other(c *jsonwalk.Cursor) {
	f.kind = Content
	f.opaque = true
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		switch string(key) {
		case "error":
			if !jsonwalk.Blank(c.Value()) {
				f.kind = Error
				return
			}
		case "type", "object":
			switch value := c.Value(); {
			case string(value) == `"error"`:
				f.kind = Error
				return
			case isHeartbeat(bytes.Trim(value, `"`)):
				f.kind = KeepAlive
			}
		case "usage":
			f.addUsage(c)
		default:
			c.Value()
		}
	}
}
