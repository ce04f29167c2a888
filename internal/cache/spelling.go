package cache

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/maypok86/otter/v2"
)

// spellings remembers the keys of requests as they were written, so that one that
// comes again in the very same bytes need not be read to be known. It only knows
// requests that have been answered from the cache, which are few.
type spellings struct {
	keys *otter.Cache[uint64, *spelling]
}

// spelling is a request as it was written. It is kept whole: two requests of the same
// sum are the same only if their bytes are.
type spelling struct {
	Request
	key Key
}

// spellingShare is the part of a cache's size that spellings may take besides.
const spellingShare = 8

// seed makes sums that nobody outside can aim at.
var seed = maphash.MakeSeed()

// spellingSize is what they may take beside a cache of a size, in bytes; not nothing,
// which otter takes for a mistake.
func spellingSize(size int64) uint64 { return uint64(max(size/spellingShare, 1)) }

func newSpellings(size int64) spellings {
	return spellings{otter.Must(&otter.Options[uint64, *spelling]{
		MaximumWeight: spellingSize(size),
		Weigher:       func(_ uint64, s *spelling) uint32 { return s.size() },
	})}
}

func (s *spelling) size() uint32 {
	const overhead = 256
	n := overhead + len(s.Body)
	for _, part := range s.Scope {
		n += len(part) + 16
	}
	return uint32(min(n, math.MaxUint32))
}

// sum is the same for requests that are written in the same way.
func (r *Request) sum() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteByte(byte(r.Kind))
	var length [8]byte
	for _, part := range r.Scope {
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.WriteString(part)
	}
	h.Write(r.Body)
	return h.Sum64()
}

func (r *Request) same(other *Request) bool {
	return r.Kind == other.Kind && r.Literal == other.Literal &&
		slices.Equal(r.Scope, other.Scope) && bytes.Equal(r.Body, other.Body)
}

// KeyOf is the request's key, as Key tells it, and whether it is remembered.
func (c *Cache) KeyOf(r *Request) (key Key, remembered, ok bool) {
	if s, ok := c.spellings.keys.GetIfPresent(r.sum()); ok && s.same(r) {
		return s.key, true, true
	}
	key, ok = r.Key()
	return key, false, ok
}

// Remember keeps the key of a request that has been answered from the cache, until
// others take its place.
func (c *Cache) Remember(r *Request, key Key) {
	own := *r
	own.Body = bytes.Clone(r.Body)
	own.Scope = make([]string, len(r.Scope))
	for i, part := range r.Scope {
		own.Scope[i] = strings.Clone(part)
	}
	c.spellings.keys.Set(r.sum(), &spelling{own, key})
}
