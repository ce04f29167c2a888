package upstreams

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Cache keeps answers, to give them again to requests that ask exactly the same.
type Cache struct {
	// Keep nothing, in spite of the router's cache. Default: false.
	Off bool `json:"off,omitempty"`

	// How long an answer is kept.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// The name of a group. Pools of one group give each other's answers, whatever
	// their deployments are, also those of other routers. Default: none, only a pool
	// of the same name with the same deployments has the same answers.
	Group string `json:"group,omitempty"`

	// How many bytes of memory the answers of the group may take, and together those
	// of all pools without a group; of several pools' sizes, one holds. What is used
	// seldom goes first. Default: 64 MiB.
	Size int64 `json:"size,omitempty"`

	// The largest answer that is kept, in bytes. Default: 1 MiB.
	MaxItem int64 `json:"max_item,omitempty"`

	// What else makes a request another one, beside its body, path, query, team, tags,
	// region, the headers that say which version of an API it speaks, and the client's
	// own credentials, where these reach a deployment. Placeholders are replaced for
	// each request.
	Vary []string `json:"vary,omitempty"`

	// Whether a field that has the value which the inventors of the API state as its
	// default is the same as none. Turn it off for servers with other defaults.
	// Default: true.
	Defaults *bool `json:"defaults,omitempty"`
}

const (
	defaultCacheSize = 64 << 20
	defaultMaxItem   = 1 << 20
	// maxMaxItem bounds max_item, as an answer is held in memory while it comes.
	maxMaxItem = 64 << 20
)

func (c *Cache) on() bool { return c != nil && !c.Off }

func (c *Cache) size() int64 {
	if c.Size > 0 {
		return c.Size
	}
	return defaultCacheSize
}

func (c *Cache) maxItem() int64 {
	if c.MaxItem > 0 {
		return c.MaxItem
	}
	return min(defaultMaxItem, c.size())
}

func (c *Cache) validate() error {
	switch {
	case !c.on():
		return nil
	case c.TTL < caddy.Duration(time.Second):
		return errors.New("ttl: expected a duration of at least 1s")
	case c.Size < 0:
		return errors.New("size is negative")
	case c.MaxItem < 0 || c.MaxItem > maxMaxItem:
		return errors.New("max_item: expected at most 64MiB")
	case c.maxItem() > c.size():
		return errors.New("max_item is larger than size")
	}
	return nil
}
