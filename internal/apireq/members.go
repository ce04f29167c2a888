package apireq

import "github.com/llmrouter/caddy-llm-router/internal/jsonwalk"

// members walks the members of one JSON object, in the manner of
// bufio.Scanner: while next is true, the fields describe one member.
type members struct {
	b   []byte
	at  int // where the next member begins; after the walk, past the object
	err error

	key        []byte // the inside of the key, with its escapes
	keyAt      int    // where the key's quote is
	start, end int    // span of the value
	more       bool   // a member has been read, so a comma comes first
}

// membersOf opens the object at the beginning of b.
func membersOf(b []byte) (members, error) {
	i := skipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return members{}, fail(ErrNotObject, i)
	}
	return members{b: b, at: i + 1}, nil
}

func (m *members) next() bool {
	b := m.b
	i := skipSpace(b, m.at)
	if i < len(b) && b[i] == '}' {
		m.at = i + 1
		return false
	}
	if m.more {
		if i < len(b) && b[i] != ',' {
			return m.stop(ErrSyntax, i)
		}
		i = skipSpace(b, i+1)
	}
	m.more = true
	switch {
	case i >= len(b):
		return m.stop(ErrUnterminated, len(b))
	case b[i] != '"':
		return m.stop(ErrSyntax, i)
	}
	m.keyAt = i
	if i = jsonwalk.StringEnd(b, i); i < 0 {
		return m.stop(ErrUnterminated, m.keyAt)
	}
	m.key = b[m.keyAt+1 : i-1]
	i = skipSpace(b, i)
	if i < len(b) && b[i] != ':' {
		return m.stop(ErrSyntax, i)
	}
	if i = skipSpace(b, i+1); i >= len(b) {
		return m.stop(ErrUnterminated, len(b))
	}
	end, err := skipValue(b, i)
	if err != nil {
		return m.stop(err, end)
	}
	m.start, m.end, m.at = i, end, end
	return true
}

func (m *members) stop(err error, offset int) bool {
	m.err = fail(err, offset)
	return false
}
