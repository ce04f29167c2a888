package sse

import (
	"unicode/utf16"
	"unicode/utf8"
)

// appendText appends the text that a JSON string means, given what stands
// between its quotes. It refuses half a surrogate pair, which is no text until
// its other half has come.
func appendText(dst, raw []byte) (_ []byte, ok bool) {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		r, width := escape(raw[i:])
		if width == 0 {
			return dst, false
		}
		dst = utf8.AppendRune(dst, r)
		i += width
	}
	return dst, true
}

// matchText compares a JSON string, given what stands between its quotes, with
// a text, as far as the shorter of the two goes. It returns how many bytes of
// each are the same text, and whether there is no difference up to there. A
// text that ends inside a character of the string is a difference.
func matchText(raw, text []byte) (usedRaw, usedText int, ok bool) {
	i, j := 0, 0
	for i < len(raw) && j < len(text) {
		if raw[i] != '\\' {
			if raw[i] != text[j] {
				return i, j, false
			}
			i++
			j++
			continue
		}
		r, width := escape(raw[i:])
		if width == 0 {
			return i, j, false
		}
		var encoded [utf8.UTFMax]byte
		n := utf8.EncodeRune(encoded[:], r)
		if len(text)-j < n || string(text[j:j+n]) != string(encoded[:n]) {
			return i, j, false
		}
		i += width
		j += n
	}
	if i < len(raw) && !utf8.RuneStart(raw[i]) {
		return i, j, false
	}
	return i, j, true
}

// escape reads the escape sequence that raw begins with. Its width is 0 if it is
// none or half a surrogate pair.
func escape(raw []byte) (r rune, width int) {
	if len(raw) < 2 {
		return 0, 0
	}
	switch raw[1] {
	case '"', '\\', '/':
		return rune(raw[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(raw)
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		low, ok := hex4(raw[6:])
		if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
			return pair, 12
		}
	}
	return 0, 0
}

// hex4 reads \uXXXX.
func hex4(raw []byte) (r rune, ok bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	for _, c := range raw[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
