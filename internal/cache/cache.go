package cache

import (
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Cache keeps answers in memory and knows which are on their way. It is safe for
// concurrent use.
type Cache struct {
	memory    memory
	spellings spellings
	shards    [16]shard
}

// shard holds the flights of some keys, so that requests seldom wait for one lock.
type shard struct {
	mu      sync.Mutex
	flights map[Key]*Flight
}

// New makes a cache that holds about so many bytes. Close ends it.
func New(size int64) *Cache { return &Cache{memory: newMemory(size), spellings: newSpellings(size)} }

// SetSize changes how many bytes the cache holds.
func (c *Cache) SetSize(size int64) {
	c.memory.entries.SetMaximum(uint64(size))
	c.spellings.keys.SetMaximum(spellingSize(size))
}

// Close ends what the cache does in the background. Requests that are still on their
// way may go on with it.
func (c *Cache) Close() {
	c.memory.close()
	c.spellings.keys.StopAllGoroutines()
}

// Get is the answer that is kept under a key, no older than maxAge, which is any age
// when it is negative; nil is none.
func (c *Cache) Get(key Key, now time.Time, maxAge time.Duration) *Entry {
	if e := c.memory.get(key); e != nil && e.Fresh(now, maxAge) {
		return e
	}
	return nil
}

// Put keeps an answer, if it is not too old already.
func (c *Cache) Put(key Key, e *Entry, now time.Time) {
	if now.Before(e.Expires) {
		c.memory.put(key, e)
	}
}

// Join gives the flight of a key. Where there was none the caller leads it, and has
// to Land it; else it follows, and has to Unfollow.
func (c *Cache) Join(key Key, maxItem int) (f *Flight, leads bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[key]; f != nil && f.join() {
		return f, false
	}
	if s.flights == nil {
		s.flights = make(map[Key]*Flight)
	}
	f = NewFlight(maxItem)
	s.flights[key] = f
	return f, true
}

// Land ends a flight. What was to be kept of it has been Put before, so that nobody
// finds neither. A flight that has not been ended is lost for those who follow it.
func (c *Cache) Land(key Key, f *Flight) {
	f.End(retry.Canceled)
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[key] == f { // another may have begun when nobody could join this one
		delete(s.flights, key)
	}
}

func (c *Cache) shard(key Key) *shard { return &c.shards[int(key[0])%len(c.shards)] }
