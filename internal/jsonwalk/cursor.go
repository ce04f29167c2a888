// Package jsonwalk walks JSON of foreign make in one pass, without a copy of it.
package jsonwalk

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// maxDepth is how deep JSON may nest. The validator recurses, and a megabyte of
// open brackets would cost it hundreds of megabytes of stack.
const maxDepth = 1000

// Valid reports whether data is one JSON value, nested no deeper than
// maxDepth.
func Valid(data []byte) bool {
	return (len(data) <= maxDepth || depth(data) <= maxDepth) && gjson.ValidBytes(data)
}

func depth(data []byte) (deepest int) {
	level := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}

// stringEnd is the position after the string that opens at i, or after the data.
func stringEnd(data []byte, i int) int {
	if end := StringEnd(data, i); end > 0 {
		return end
	}
	return len(data)
}

// Cursor walks JSON that is known to be valid, once and in place: it descends
// into a value or skips it, and allocates nothing. Of invalid JSON it makes
// nonsense, within bounds. Keys are given as they are written; one that is spelt
// with escapes is not recognised. It is not safe for concurrent use.
type Cursor struct {
	data []byte
	at   int
}

// New is a Cursor before the first value of data.
func New(data []byte) Cursor { return Cursor{data: data} }

// Whole is all of what the Cursor walks.
func (c *Cursor) Whole() []byte { return c.data }

// Open enters the array or object that comes next. If something else does, it
// stays and reports false.
func (c *Cursor) Open(bracket byte) bool {
	if c.Peek() != bracket {
		return false
	}
	c.at++
	return true
}

// Peek is the first byte of the value that comes next, 0 at the end.
func (c *Cursor) Peek() byte {
	for ; c.at < len(c.data); c.at++ {
		switch b := c.data[c.at]; b {
		case ' ', '\t', '\n', '\r', ',', ':':
		default:
			return b
		}
	}
	return 0
}

// Member goes to the next member of the object that was entered and returns its
// key; its value comes next. Behind the last it leaves the object.
func (c *Cursor) Member() (key []byte, ok bool) {
	if c.Peek() != '"' {
		c.at++
		return nil, false
	}
	key, _ = c.Text()
	return key, true
}

// Element reports whether the array that was entered has another element, which
// comes next. Behind the last it leaves the array.
func (c *Cursor) Element() bool {
	switch c.Peek() {
	case ']', '}', 0:
		c.at++
		return false
	}
	return true
}

// Text reads the string that comes next: what stands between its quotes, and
// where that begins.
func (c *Cursor) Text() (raw []byte, from int) {
	from = c.at + 1
	c.at = stringEnd(c.data, c.at)
	return c.data[from:max(from, c.at-1)], from
}

// Value reads the value that comes next, whatever it is, as it is written.
func (c *Cursor) Value() []byte {
	switch c.Peek() {
	case 0:
		return nil
	case '"':
		from := c.at
		c.at = stringEnd(c.data, c.at)
		return c.data[from:c.at]
	case '{', '[':
		return c.nested()
	}
	from := c.at
	for c.at++; c.at < len(c.data); c.at++ {
		switch c.data[c.at] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return c.data[from:c.at]
		}
	}
	return c.data[from:c.at]
}

func (c *Cursor) nested() []byte {
	from, level := c.at, 0
	for c.at < len(c.data) {
		switch c.data[c.at] {
		case '"':
			c.at = stringEnd(c.data, c.at)
			continue
		case '{', '[':
			level++
		case '}', ']':
			level--
		}
		c.at++
		if level == 0 {
			break
		}
	}
	return c.data[from:c.at]
}

// Small reads the value that comes next as a number from 0 to 2^31-1. Anything
// else is -1.
func (c *Cursor) Small() int {
	n := 0
	for _, b := range c.Value() {
		if b < '0' || b > '9' || n > (1<<31-1)/10-1 {
			return -1
		}
		n = 10*n + int(b-'0')
	}
	return n
}

// Blank reports whether a JSON value says nothing: null, false, or an empty
// string, array or object.
func Blank(value []byte) bool {
	switch string(value) {
	case "", "null", "false", `""`, "[]", "{}":
		return true
	}
	if c := value[0]; c != '[' && c != '{' || len(value) < 2 {
		return false
	}
	return len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}
