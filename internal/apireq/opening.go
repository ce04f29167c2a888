package apireq

import (
	"crypto/sha256"
	"encoding/binary"
)

// maxOpening is how much of a part of a prompt is looked at to tell it from others, in
// bytes: of a longer one, half of that from its beginning and half from its end.
const maxOpening = 64 << 10

// maxContentParts is how many parts of a message are told apart. A hash of each of the
// millions that a body can have would take seconds.
const maxContentParts = 64

// digest is the hash of a part of a prompt.
type digest [sha256.Size]byte

// Opening is a hash of how the body's conversation begins: its instructions, and its
// messages up to and with the text of the first of the user. That is what every turn
// of the conversation repeats, and a shared system prompt alone is not it. ok is false
// where there is no message of a user, as in embeddings.
func (b *Body) Opening(f *Facts) (hash [sha256.Size]byte, ok bool) {
	var all digest
	for l := systemLayer; l < numLayers; l++ {
		for _, part := range f.prompt.list[:f.prompt.n] {
			value := b.data[part.Start:part.End]
			switch {
			case part.layer != l:
			case l == systemLayer:
				all = all.with(digestOf(value))
			case !ok:
				var before int
				var content []byte
				if before, content, ok = firstOfUser(value); ok {
					all = all.with(digestOf(value[:before])).with(digestOfContent(content))
				}
			}
		}
	}
	return all, ok
}

// firstOfUser finds the first message of the user in a JSON array of messages: where
// it begins, and what it says.
func firstOfUser(value []byte) (begin int, content []byte, found bool) {
	if value[0] != '[' {
		return 0, nil, false
	}
	for i := skipSpace(value, 1); i < len(value) && value[i] == '{'; {
		m, _ := membersOf(value[i:])
		content = nil
		for m.next() {
			switch said := m.b[m.start:m.end]; {
			case keyIs(m.key, "role"):
				found = string(said) == `"user"`
			case keyIs(m.key, "content"), keyIs(m.key, "parts"):
				content = said
			}
		}
		if m.err != nil {
			return 0, nil, false
		}
		if found {
			return i, content, true
		}
		if i = skipSpace(value, i+m.at); i < len(value) && value[i] == ',' {
			i = skipSpace(value, i+1)
		}
	}
	return 0, nil, false
}

// digestOfContent is the same for a text, and for a list of that text as its only
// part. What else stands beside a text does not count: clients move the marks of what
// a provider is to cache from turn to turn.
func digestOfContent(content []byte) (all digest) {
	if len(content) == 0 || content[0] != '[' {
		return all.with(digestOf(content))
	}
	parts := 0
	for i := skipSpace(content, 1); i < len(content) && content[i] != ']'; {
		if parts++; parts > maxContentParts {
			return all.with(digestOf(content[i:]))
		}
		end, err := skipValue(content, i)
		if err != nil {
			return all
		}
		all = all.with(digestOf(textOf(content[i:end])))
		if i = skipSpace(content, end); i < len(content) && content[i] == ',' {
			i = skipSpace(content, i+1)
		}
	}
	return all
}

// textOf is the text of a part of a message; the part itself where that is something
// else, such as an image.
func textOf(part []byte) []byte {
	text := part
	m, err := membersOf(part)
	if err != nil {
		return part
	}
	for m.next() {
		if keyIs(m.key, "text") {
			text = part[m.start:m.end]
		}
	}
	return text
}

// with is the hash of two parts, one after the other.
func (d digest) with(next digest) digest {
	var text [2 * sha256.Size]byte
	copy(text[:], d[:])
	copy(text[sha256.Size:], next[:])
	return sha256.Sum256(text[:])
}

// digestOf hashes a part of a prompt, as it is written.
func digestOf(value []byte) digest {
	if len(value) <= maxOpening {
		return sha256.Sum256(value)
	}
	begin, end := sha256.Sum256(value[:maxOpening/2]), sha256.Sum256(value[len(value)-maxOpening/2:])
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(value)))
	return digest(begin).with(end).with(sha256.Sum256(length[:]))
}
