package upstreams

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
)

func TestCacheIsValidated(t *testing.T) {
	hour := caddy.Duration(time.Hour)
	for name, tt := range map[string]struct {
		cache *Cache
		want  string // of the error; empty is none
	}{
		"none":                     {nil, ""},
		"off":                      {&Cache{Off: true, TTL: -1}, ""},
		"a time":                   {&Cache{TTL: hour}, ""},
		"no time":                  {&Cache{}, "ttl"},
		"too short a time":         {&Cache{TTL: caddy.Duration(time.Millisecond)}, "ttl"},
		"a negative size":          {&Cache{TTL: hour, Size: -1}, "size"},
		"a negative max_item":      {&Cache{TTL: hour, MaxItem: -1}, "max_item"},
		"too large a max_item":     {&Cache{TTL: hour, Size: 1 << 40, MaxItem: maxMaxItem + 1}, "max_item"},
		"an item above the size":   {&Cache{TTL: hour, Size: 10, MaxItem: 11}, "max_item"},
		"a size below the default": {&Cache{TTL: hour, Size: 10}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.cache.validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

func TestAPoolsCacheIsAllItsOwn(t *testing.T) {
	defaults := Policy{Cache: &Cache{TTL: 1, Group: "g", Vary: []string{"x"}}}
	for name, tt := range map[string]struct{ own, want *Cache }{
		"none is the router's": {nil, defaults.Cache},
		"off":                  {&Cache{Off: true}, &Cache{Off: true}},
		"one of its own":       {&Cache{TTL: 2}, &Cache{TTL: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			got := (Policy{Cache: tt.own}).Over(defaults).Cache
			if got.Off != tt.want.Off || got.TTL != tt.want.TTL || got.Group != tt.want.Group || len(got.Vary) != len(tt.want.Vary) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// A key that a header operation sets may be every client's own.
func TestSetsCredentials(t *testing.T) {
	for name, tt := range map[string]struct {
		ops        headers.HeaderOps
		set, fixed bool
	}{
		"nothing":                  {headers.HeaderOps{}, false, true},
		"another header":           {headers.HeaderOps{Set: http.Header{"X-A": {"{http.request.header.x}"}}}, false, true},
		"a key":                    {headers.HeaderOps{Set: http.Header{"authorization": {"Bearer k"}}}, true, true},
		"a key of the environment": {headers.HeaderOps{Set: http.Header{"Api-Key": {"{env.KEY}"}}}, true, true},
		"a key in a file":          {headers.HeaderOps{Add: http.Header{"X-Api-Key": {"{file./run/key}"}}}, true, true},
		"a key of the request":     {headers.HeaderOps{Set: http.Header{"Api-Key": {"{http.request.header.x}"}}}, true, false},
		"a key of both":            {headers.HeaderOps{Set: http.Header{"Api-Key": {"{env.KEY}{http.auth.user.id}"}}}, true, false},
		"a part of the client's":   {headers.HeaderOps{Replace: map[string][]headers.Replacement{"Authorization": {{}}}}, false, false},
		"a part of all headers":    {headers.HeaderOps{Replace: map[string][]headers.Replacement{"*": {{}}}}, false, false},
		"a part of another header": {headers.HeaderOps{Replace: map[string][]headers.Replacement{"X-A": {{}}}}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			set, fixed := setsCredentials(&tt.ops)
			if set != tt.set || fixed != tt.fixed {
				t.Errorf("got set %v and fixed %v, want %v and %v", set, fixed, tt.set, tt.fixed)
			}
		})
	}
}
