package retry

import "bytes"

// maxGap is how many bytes a '~' of a phrase may stand for.
const maxGap = 60

// maxWord is how many bytes a '*' of a phrase may stand for.
const maxWord = 160

// match compares text from position i with a phrase and returns where the match
// ends, or -1. ASCII case does not matter. In a phrase
//
//   - a blank stands for any number of blanks, underscores and hyphens, so that
//     "rate limit" also finds rate_limit and RateLimit;
//   - '*' stands for one word, such as the name of a model;
//   - '~' stands for a gap of up to maxGap bytes;
//   - '#' stands for one digit;
//   - '$' stands for the end of a word.
func match(text []byte, i int, phrase string) int {
	for p := 0; p < len(phrase); p++ {
		switch c := phrase[p]; c {
		case ' ':
			for i < len(text) && isSeparator(text[i]) && (p+1 == len(phrase) || text[i] != phrase[p+1]) {
				i++
			}
		case '*':
			start := i
			for i < len(text) && !isBlank(text[i]) {
				i++
			}
			if i == start || i-start > maxWord {
				return -1
			}
		case '~':
			for end := min(i+maxGap, len(text)); i <= end; i++ {
				if n := match(text, i, phrase[p+1:]); n >= 0 {
					return n
				}
			}
			return -1
		case '#':
			if i >= len(text) || !isDigit(text[i]) {
				return -1
			}
			i++
		case '$':
			if i < len(text) && isWord(text[i]) {
				return -1
			}
		default:
			if i >= len(text) || lower(text[i]) != c {
				return -1
			}
			i++
		}
	}
	return i
}

// wordStart reports whether a phrase may begin at i: anywhere but inside an
// ASCII word. Other scripts have no blanks between words.
func wordStart(text []byte, i int) bool {
	return i == 0 || !isWord(text[i-1]) || !isWord(text[i])
}

func isSeparator(c byte) bool { return isBlank(c) || c == '_' || c == '-' }
func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isWord(c byte) bool      { return isDigit(c) || 'a' <= lower(c) && lower(c) <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// nameBuffer holds a canonical name. Longer names are no machine-readable ones.
type nameBuffer [64]byte

// canonical reduces a name to its lower-case letters and digits, so that
// rate_limit_exceeded, RateLimitExceeded and "rate limit exceeded" are one. The
// result is nil when the name is too long.
func canonical(buf *nameBuffer, name []byte) []byte {
	n := 0
	for _, c := range name {
		if !isWord(c) {
			continue
		}
		if n == len(buf) {
			return nil
		}
		buf[n] = lower(c)
		n++
	}
	return buf[:n]
}

// canonicalMarker is canonical for the value of a field such as error.code. It
// takes off what AWS puts around its exception names and the endings that
// providers do not agree about.
func canonicalMarker(buf *nameBuffer, value []byte) []byte {
	if i := bytes.IndexByte(value, '#'); i >= 0 { // com.amazon.coral.service#ThrottlingException
		value = value[i+1:]
	}
	if i := bytes.IndexByte(value, ':'); i >= 0 { // ValidationException:http://internal...
		value = value[:i]
	}
	name := canonical(buf, value)
	for _, ending := range []string{"exception", "error"} {
		if n := len(name) - len(ending); n > 0 && string(name[n:]) == ending {
			return name[:n]
		}
	}
	return name
}
