package cache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// entryVersion begins every encoded entry. Another one is not understood, and is
// as good as none.
const entryVersion = 1

// maxText is the longest content type or name of a deployment, in bytes.
const maxText = 1024

// ErrForeign is an encoded entry that this program did not write under this key.
var ErrForeign = errors.New("not an entry of the cache")

// Encode writes the entry for a store that others write to as well: the version, the
// key, when it was stored and when it expires, its texts, its body.
func (e *Entry) Encode(key Key) []byte {
	b := make([]byte, 0, entryOverhead+len(e.ContentType)+len(e.Deployment)+len(e.Body))
	b = append(b, entryVersion)
	b = append(b, key[:]...)
	b = binary.AppendVarint(b, e.Stored.UnixMilli())
	b = binary.AppendVarint(b, e.Expires.UnixMilli())
	for _, text := range []string{e.ContentType, e.Deployment} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return append(b, e.Body...)
}

// Decode reads what Encode wrote. The body is a part of data. What it does not
// understand is ErrForeign.
func Decode(key Key, data []byte) (*Entry, error) {
	rest, ok := bytes.CutPrefix(data, append([]byte{entryVersion}, key[:]...))
	if !ok {
		return nil, ErrForeign
	}
	e := new(Entry)
	for _, at := range []*time.Time{&e.Stored, &e.Expires} {
		ms, n := binary.Varint(rest)
		if n <= 0 {
			return nil, ErrForeign
		}
		*at, rest = time.UnixMilli(ms), rest[n:]
	}
	for _, text := range []*string{&e.ContentType, &e.Deployment} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > maxText || length > uint64(len(rest)-n) {
			return nil, ErrForeign
		}
		*text, rest = string(rest[n:n+int(length)]), rest[n+int(length):]
	}
	e.Body = rest
	if _, ok := Keepable(e.ContentType); !ok || !printable(e.Deployment) {
		return nil, ErrForeign
	}
	return e, nil
}

// printable tells whether a text may stand in a header.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return false
		}
	}
	return true
}
