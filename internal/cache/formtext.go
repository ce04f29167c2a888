package cache

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/llmrouter/caddy-llm-router/internal/jsonwalk"
)

// string writes the string that comes next, and says how long its text is.
func (f *form) string() (n int, err error) {
	end := jsonwalk.StringEnd(f.data, f.at)
	if end < 0 {
		return 0, errOdd
	}
	text := f.data[f.at+1 : end-1]
	f.at = end
	if control(text) {
		return 0, errOdd
	}
	if bytes.IndexByte(text, '\\') >= 0 {
		if text, err = f.unescape(text); err != nil {
			return 0, err
		}
	}
	if !utf8.Valid(text) {
		return 0, errOdd
	}
	f.out = append(f.out, 's')
	f.out = binary.AppendUvarint(f.out, uint64(len(text)))
	f.out = append(f.out, text...)
	return len(text), nil
}

// control tells whether a text has control characters, which JSON only allows as
// escapes. It looks at eight bytes at a time: prompts are long.
func control(text []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; len(text) >= 8; text = text[8:] {
		word := binary.LittleEndian.Uint64(text)
		if (word-ones*' ')&^word&highs != 0 { // some byte is below a space
			return true
		}
	}
	for _, b := range text {
		if b < ' ' {
			return true
		}
	}
	return false
}

// unescape is what the inside of a string stands for.
func (f *form) unescape(raw []byte) ([]byte, error) {
	f.text = f.text[:0]
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			f.text = append(f.text, raw...)
			return f.text, nil
		}
		f.text = append(f.text, raw[:i]...)
		n := f.escape(raw[i+1:])
		if n == 0 {
			return nil, errOdd
		}
		raw = raw[i+1+n:]
	}
}

// escape reads what comes after a backslash, and says how long it is; 0 for what means
// nothing.
func (f *form) escape(raw []byte) (n int) {
	if len(raw) == 0 {
		return 0
	}
	b := raw[0]
	switch b {
	case '"', '\\', '/':
	case 'b':
		b = '\b'
	case 'f':
		b = '\f'
	case 'n':
		b = '\n'
	case 'r':
		b = '\r'
	case 't':
		b = '\t'
	case 'u':
		return f.codePoint(raw)
	default:
		return 0
	}
	f.text = append(f.text, b)
	return 1
}

// codePoint reads a u and what comes after it. Half of a pair is no text.
func (f *form) codePoint(raw []byte) (n int) {
	const one, pair = len("u0000"), len(`ud800\udc00`)
	r, ok := hex(raw)
	if !ok {
		return 0
	}
	if !utf16.IsSurrogate(r) {
		f.text = utf8.AppendRune(f.text, r)
		return one
	}
	if len(raw) < pair || raw[one] != '\\' || raw[one+1] != 'u' {
		return 0
	}
	low, ok := hex(raw[one+1:])
	if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
		return 0
	}
	f.text = utf8.AppendRune(f.text, r)
	return pair
}

// hex reads the four hexadecimal digits that come after a u.
func hex(raw []byte) (rune, bool) {
	if len(raw) < len("u0000") {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[1:5]), 16, 16)
	return rune(n), err == nil
}
