package selection

import "container/list"

// cache is a server's simulated prefix cache: so many tokens, and what was read
// longest ago gives way.
type cache struct {
	room   int
	blocks map[uint64]*list.Element
	recent list.List
}

type block struct {
	hash   uint64
	tokens int
}

func newCache(tokens int) *cache { return &cache{room: tokens, blocks: make(map[uint64]*list.Element)} }

// read gives how many tokens of a prompt are in the cache, and keeps all of it.
func (c *cache) read(prompt reading) (hit int) {
	missed, before := false, 0
	for _, p := range prompt {
		e, ok := c.blocks[p.Hash]
		missed = missed || !ok
		switch {
		case !missed:
			hit = p.Tokens
			fallthrough
		case ok:
			c.recent.MoveToFront(e)
		default:
			c.blocks[p.Hash] = c.recent.PushFront(block{p.Hash, p.Tokens - before})
			c.room -= p.Tokens - before
		}
		before = p.Tokens
	}
	for c.room < 0 {
		last := c.recent.Remove(c.recent.Back()).(block)
		delete(c.blocks, last.hash)
		c.room += last.tokens
	}
	return hit
}
