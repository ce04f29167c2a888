package metrics

// CacheResult is what the cache was to a request.
type CacheResult uint8

const (
	// CacheHit is an answer that was kept.
	CacheHit CacheResult = iota
	// CacheShared is the answer of an identical request at the same time.
	CacheShared
	// CacheMiss is a call of an upstream.
	CacheMiss
	// CacheBypass is a request that is never answered from the cache.
	CacheBypass
)

// cacheResults are the names of the results, in their places.
var cacheResults = [...]string{CacheHit: "hit", CacheShared: "shared", CacheMiss: "miss", CacheBypass: "bypass"}

// Caches puts what the cache does for the pool on the page, before it has done any
// of it.
func (p *Pool) Caches() {
	if p == nil {
		return
	}
	p.metrics.mu.Lock()
	defer p.metrics.mu.Unlock()
	if p.cache.Load() == nil && !p.gone() {
		p.cache.Store(p.metrics.series.cache.with(p.name, ""))
	}
}

// Cached counts what the cache was to a request of the pool. It comes after Caches.
func (p *Pool) Cached(result CacheResult) {
	if p == nil {
		return
	}
	if row := p.cache.Load(); row != nil {
		row.add(int(result), 1)
	}
}
