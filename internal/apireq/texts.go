package apireq

import "github.com/llmrouter/caddy-llm-router/internal/jsonwalk"

// reading is how the text of a part of a prompt is found.
type reading uint8

const (
	// readNone is a part whose size in a context window nobody can tell: the documents
	// of a reranking are read one at a time, and in pieces.
	readNone reading = iota
	// readContent is a text, blocks of text, or messages of them.
	readContent
	// readBatch is that, or a list of texts that are read one by one.
	readBatch
	// readTools are the definitions of tools.
	readTools
)

func readingOf(key string) reading {
	switch key {
	case "messages", "system", "instructions", "contents":
		return readContent
	case "input", "prompt":
		return readBatch
	case "tools":
		return readTools
	}
	return readNone
}

const (
	// maxContentDepth is how deep text may be in a message; no API has it deeper than a
	// dozen.
	maxContentDepth = 20
	// maxTexts is how many texts are looked at; what follows counts as nothing.
	maxTexts = 1 << 16
)

// promptTexts are what a model reads of a prompt, as JSON has it between quotes.
// Images, sounds and files are left out: what they take depends on the model alone.
// So are roles, ids and what a model's template puts around messages.
type promptTexts struct{ list [][]byte }

func (t *promptTexts) add(text []byte) {
	if len(text) > 0 && len(t.list) < maxTexts {
		t.list = append(t.list, text)
	}
}

func (t *promptTexts) read(value []byte, as reading) {
	c := jsonwalk.New(value)
	switch as {
	case readContent:
		t.content(&c, 0)
	case readBatch:
		if !t.batch(value) {
			t.content(&c, 0)
		}
	case readTools:
		t.add(words(value))
	}
}

// content takes the texts of a message, of a part of it, or of a list of them.
func (t *promptTexts) content(c *jsonwalk.Cursor, depth int) {
	switch {
	case depth > maxContentDepth:
		c.Value()
	case c.Peek() == '"':
		text, _ := c.Text()
		t.add(text)
	case c.Open('['):
		for c.Element() {
			t.content(c, depth+1)
		}
	case c.Open('{'):
		for {
			key, ok := c.Member()
			if !ok {
				return
			}
			switch string(key) {
			case "content", "text", "parts", "refusal", "output", "tool_calls", "function", "function_call", "name":
				t.content(c, depth+1)
			case "arguments", "input": // a text, or the object that it would be the text of
				if c.Peek() == '{' {
					t.add(words(c.Value()))
				} else {
					t.content(c, depth+1)
				}
			default:
				c.Value()
			}
		}
	default:
		c.Value()
	}
}

// batch takes the longest of a list of texts, which are prompts of their own; false
// where the value is no such list.
func (t *promptTexts) batch(value []byte) bool {
	c := jsonwalk.New(value)
	if !c.Open('[') || c.Peek() != '"' {
		return false
	}
	var longest []byte
	for c.Element() {
		if c.Peek() != '"' {
			c.Value() // token ids
			continue
		}
		if text, _ := c.Text(); len(text) > len(longest) {
			longest = text
		}
	}
	t.add(longest)
	return true
}

// words are the keys and the texts of a JSON value. Models read tools in notations of
// their own, which have these in common.
func words(value []byte) []byte {
	dst := make([]byte, 0, min(len(value), maxCounted))
	for i := 0; i < len(value) && len(dst) < maxCounted; i++ {
		if value[i] != '"' {
			continue
		}
		end := jsonwalk.StringEnd(value, i)
		if end < 0 {
			break
		}
		dst = append(dst, value[i+1:end-1]...)
		dst = append(dst, ' ')
		i = end - 1
	}
	return dst
}
