package usage

import (
	"bytes"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// tailSize is how much of the end of a long answer, and of its beginning, is
// looked at, in bytes. A usage has a few hundred, and stands before or behind what
// makes the answer long.
const tailSize = 4 << 10

// Tail keeps the end of an answer that is passed on without being held. The zero
// value is an empty one; it takes memory with the first Write.
type Tail struct{ buf []byte }

// Write implements io.Writer. It never fails.
func (t *Tail) Write(p []byte) (int, error) {
	if t.buf == nil {
		t.buf = make([]byte, 0, 2*tailSize)
	}
	if len(t.buf)+len(p) > cap(t.buf) {
		kept := t.buf[max(0, len(t.buf)-tailSize):]
		t.buf = append(t.buf[:0], kept...)
	}
	t.buf = append(t.buf, p[max(0, len(p)-tailSize):]...)
	return len(p), nil
}

// ReadTail takes note of the usage in the end of a whole JSON answer, as ReadAnswer
// does, and reports whether one stands there.
func (a *Account) ReadTail(t *Tail) bool { return a.readEnd(t.buf) }

// tailKeys are the keys that ReadAnswer knows.
var tailKeys = [...]string{`"usage"`, `"meta"`, `"prompt_eval_count"`, `"eval_count"`}

// readEnd looks for members of the top level in the last bytes of an answer.
func (a *Account) readEnd(answer []byte) (found bool) {
	end := answer[max(0, len(answer)-tailSize):]
	for _, key := range tailKeys {
		if value, ok := lastMember(end, key); ok {
			a.answerMember([]byte(key[1:len(key)-1]), value)
			found = true
		}
	}
	return found
}

// lastMember is the value of the last member with a key, quoted, in the end of an
// object's JSON, if it is the object's own.
func lastMember(end []byte, key string) (value []byte, ok bool) {
	at := bytes.LastIndex(end, []byte(key))
	if at < 0 {
		return nil, false
	}
	before := bytes.TrimRight(end[:at], " \t\r\n")
	if len(before) == 0 || before[len(before)-1] != ',' && before[len(before)-1] != '{' {
		return nil, false // a value, or text that quotes
	}
	after := bytes.TrimLeft(end[at+len(key):], " \t\r\n")
	if len(after) == 0 || after[0] != ':' {
		return nil, false
	}
	c := jsonwalk.New(after[1:])
	value = c.Value()
	for c.Peek() == '"' {
		c.Member()
		c.Value()
	}
	closes := c.Peek() == '}'
	c.Member()
	return value, closes && c.Peek() == 0
}
