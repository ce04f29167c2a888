package cache

import (
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// Keepable tells whether answers of a content type can be kept: JSON and streams of
// events, whose ends are known.
func Keepable(contentType string) (stream, ok bool) {
	if len(contentType) > maxText || !printable(contentType) {
		return false, false
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "application/json":
		return false, true
	case "text/event-stream":
		return true, true
	}
	return false, false
}

// Sound tells whether a whole answer, which has ended well, says what was asked for.
func (e *Entry) Sound() bool {
	stream, ok := Keepable(e.ContentType)
	return ok && (stream || sound(e.Body))
}

// sound tells whether a JSON answer is what it seems: whole, and neither an error nor
// the report of a failure that came with a good status.
func sound(body []byte) bool {
	if !jsonwalk.Valid(body) {
		return false
	}
	c := jsonwalk.New(body)
	if !c.Open('{') {
		return c.Peek() == '[' // some servers answer with a list
	}
	for key, ok := c.Member(); ok; key, ok = c.Member() {
		value := c.Value()
		switch string(key) {
		case "error":
			if !jsonwalk.Blank(value) {
				return false
			}
		case "choices":
			if c := jsonwalk.New(value); c.Open('[') && !soundChoices(&c) {
				return false
			}
		case "status": // of Responses
			switch string(value) {
			case `"failed"`, `"cancelled"`, `"in_progress"`, `"queued"`:
				return false
			}
		}
	}
	return true
}

// soundChoices tells whether none of the choices has failed on the way, as OpenRouter
// says it.
func soundChoices(c *jsonwalk.Cursor) bool {
	for c.Element() {
		if !c.Open('{') {
			c.Value()
			continue
		}
		for key, ok := c.Member(); ok; key, ok = c.Member() {
			value := c.Value()
			if string(key) == "error" && !jsonwalk.Blank(value) || string(key) == "finish_reason" && string(value) == `"error"` {
				return false
			}
		}
	}
	return true
}
