package cache

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// string writes the string that comes next, and says how long its text is.
func (f *form) string() (n int, err error) {
	from := f.at + 1
	end := bytes.IndexByte(f.data[from:], '"')
	if end < 0 {
		return 0, errOdd
	}
	text := f.data[from : from+end]
	f.at = from + end + 1
	if bytes.IndexByte(text, '\\') >= 0 {
		f.at = from
		if text, err = f.unescape(); err != nil {
			return 0, err
		}
	} else if control(text) {
		return 0, errOdd
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

// unescape reads the rest of a string with escapes in it.
func (f *form) unescape() ([]byte, error) {
	f.text = f.text[:0]
	for f.at < len(f.data) {
		rest := f.data[f.at:]
		special := bytes.IndexAny(rest, "\"\\")
		if special < 0 || control(rest[:special]) {
			break
		}
		f.text = append(f.text, rest[:special]...)
		f.at += special + 1
		if rest[special] == '"' {
			return f.text, nil
		}
		if !f.escape() {
			break
		}
	}
	return nil, errOdd
}

// escape reads what comes after a backslash.
func (f *form) escape() bool {
	if f.at >= len(f.data) {
		return false
	}
	b := f.data[f.at]
	f.at++
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
		return f.codePoint()
	default:
		return false
	}
	f.text = append(f.text, b)
	return true
}

// codePoint reads what comes after \u. Half of a pair is no text.
func (f *form) codePoint() bool {
	r, ok := f.hex()
	if utf16.IsSurrogate(r) {
		if !bytes.HasPrefix(f.data[f.at:], []byte(`\u`)) {
			return false
		}
		f.at += 2
		var low rune
		low, ok = f.hex()
		r = utf16.DecodeRune(r, low)
		ok = ok && r != utf8.RuneError
	}
	f.text = utf8.AppendRune(f.text, r)
	return ok
}

// hex reads four hexadecimal digits.
func (f *form) hex() (rune, bool) {
	if len(f.data)-f.at < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(f.data[f.at:f.at+4]), 16, 16)
	f.at += 4
	return rune(n), err == nil
}
