// Package affinity remembers which deployment has answered a session, so that its
// next request can go there: where the prompt is in a cache, or the answer before is
// kept. What a client says of its session is known as a hash alone.
package affinity

import "crypto/sha256"

// Key is the hash of a session, the same in every instance. The zero Key is no
// session.
type Key [16]byte

// MaxValue is the longest text that may name a session, in bytes.
const MaxValue = 1 << 10

// Kind is one way of telling the sessions of a pool apart, such as by a header. The
// same value means different sessions in different kinds.
type Kind struct{ salt [sha256.Size]byte }

// NewKind makes a kind of a pool's sessions by its name.
func NewKind(pool, name string) Kind {
	return Kind{sha256.Sum256(appendText(appendText([]byte("session "), pool), name))}
}

// KeyOf is the session that a value names for a team. An empty value, and one that is
// longer than MaxValue, names none.
func KeyOf[T string | []byte](k *Kind, team string, value T) Key {
	if len(value) == 0 || len(value) > MaxValue {
		return Key{}
	}
	var scratch [sha256.Size + 256 + MaxValue]byte // more is needed for the longest of teams alone
	text := append(scratch[:0], k.salt[:]...)
	text = appendText(text, team)
	text = append(text, value...)
	hash := sha256.Sum256(text)
	return Key(hash[:len(Key{})])
}

// appendText appends a text whose end can be told from what follows.
func appendText(dst []byte, text string) []byte {
	n := uint32(len(text))
	dst = append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	return append(dst, text...)
}

// Session is what a request says of the session that it belongs to.
type Session struct {
	// Response is the answer that the request goes on with, by its id. It goes before
	// Own: no other deployment may have it.
	Response Key
	// Own is the session by the pool's rules.
	Own Key
}
