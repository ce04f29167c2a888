package retry

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks the members of one JSON object, or the elements of one array,
// without copying. It is not a validator: error bodies arrive cut short, with
// raw newlines in strings or with blanks in their keys, and what can be read of
// them is worth reading. It is no gjson either, because gjson unescapes every
// string it passes, which an ordinary chunk of a stream should not pay for.
type scanner struct {
	data  []byte
	pos   int
	array bool
}

// scan returns a scanner for a value, ok false when it is no object or array.
func scan(value []byte) (s scanner, ok bool) {
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return scanner{}, false
	}
	return scanner{data: value, pos: 1, array: value[0] == '['}, true
}

// next returns the next member; key is nil in an array. The slices are views
// into the data, a string value still has its quotes and escapes.
func (s *scanner) next() (key, value []byte, ok bool) {
	for {
		s.skipBlanks(true)
		if s.pos >= len(s.data) {
			return nil, nil, false
		}
		if s.array {
			break
		}
		if s.data[s.pos] != '"' {
			return nil, nil, false // the closing brace, or nothing that can be read
		}
		end := stringEnd(s.data, s.pos)
		key = unquote(s.data[s.pos:end])
		s.pos = end
		s.skipBlanks(false)
		if s.pos < len(s.data) && s.data[s.pos] == ':' {
			s.pos++
			s.skipBlanks(false)
			break
		}
	}
	start := s.pos
	s.pos = valueEnd(s.data, s.pos)
	if s.array && s.pos == start {
		return nil, nil, false // the closing bracket; without this check, a loop without end
	}
	return key, s.data[start:s.pos], true
}

func (s *scanner) skipBlanks(commas bool) {
	for s.pos < len(s.data) && (isBlank(s.data[s.pos]) || commas && s.data[s.pos] == ',') {
		s.pos++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// member returns the value of the first member of that name, nil if none.
func member(object []byte, name string) []byte {
	s, ok := scan(object)
	if !ok || s.array {
		return nil
	}
	for {
		key, value, ok := s.next()
		if !ok {
			return nil
		}
		if string(key) == name {
			return value
		}
	}
}

// valueEnd returns where the value that starts at i ends. Values that are cut
// short end with the data.
func valueEnd(data []byte, i int) int {
	if i >= len(data) {
		return len(data)
	}
	switch data[i] {
	case '"':
		return stringEnd(data, i)
	case '{', '[':
	default:
		for i < len(data) && !isBlank(data[i]) && data[i] != ',' && data[i] != '}' && data[i] != ']' {
			i++
		}
		return i
	}
	for depth := 0; i < len(data); {
		switch data[i] {
		case '"':
			i = stringEnd(data, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 {
			return i
		}
	}
	return len(data)
}

// stringEnd returns the index after the quote that closes the string at i.
func stringEnd(data []byte, i int) int {
	for j := i + 1; ; j++ {
		n := bytes.IndexByte(data[j:], '"')
		if n < 0 {
			return len(data)
		}
		j += n
		escapes := 0
		for k := j - 1; k > i && data[k] == '\\'; k-- {
			escapes++
		}
		if escapes%2 == 0 {
			return j + 1
		}
	}
}

// unquote takes the quotes off a string value, the closing one if it is there.
// Other values are returned as they are.
func unquote(value []byte) []byte {
	if len(value) == 0 || value[0] != '"' {
		return value
	}
	value = value[1:]
	n := len(value)
	if n == 0 || value[n-1] != '"' {
		return value // cut off
	}
	escapes := 0
	for escapes < n-1 && value[n-2-escapes] == '\\' {
		escapes++
	}
	if escapes%2 == 1 {
		return value // the last quote is text: the closing one was cut off
	}
	return value[:n-1]
}

// unescape resolves the escapes of a JSON string's text. It copies only when
// there are any, and keeps what it does not understand.
func unescape(text []byte) []byte {
	i := bytes.IndexByte(text, '\\')
	if i < 0 {
		return text
	}
	out := append(make([]byte, 0, len(text)), text[:i]...)
	for i < len(text) {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			out = append(out, c)
			i++
			continue
		}
		i += 2
		switch c = text[i-1]; c {
		case 'n', 'r', 't', 'b', 'f':
			out = append(out, ' ')
		case 'u':
			r, n := hexRune(text[i:])
			out = utf8.AppendRune(out, r)
			i += n
		default: // quote, slash, backslash
			out = append(out, c)
		}
	}
	return out
}

// hexRune reads what follows \u, a surrogate pair included, and says how many
// bytes that were.
func hexRune(text []byte) (r rune, n int) {
	hex := func(s []byte) (rune, bool) {
		if len(s) < 4 {
			return 0, false
		}
		v, err := strconv.ParseUint(string(s[:4]), 16, 16)
		return rune(v), err == nil
	}
	r, ok := hex(text)
	if !ok {
		return utf8.RuneError, 0
	}
	if utf16.IsSurrogate(r) && len(text) >= 10 && text[4] == '\\' && text[5] == 'u' {
		if low, ok := hex(text[6:]); ok {
			return utf16.DecodeRune(r, low), 10
		}
	}
	return r, 4
}
