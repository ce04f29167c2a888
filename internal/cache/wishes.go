package cache

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Wishes are what a request says of the cache itself.
type Wishes struct {
	// NoRead asks for a new answer, NoKeep that its answer is not kept.
	NoRead, NoKeep bool
	// MaxAge is how old an answer may be; negative is any age.
	MaxAge time.Duration
	// TTL is how long the answer is to be kept; 0 is as configured.
	TTL time.Duration
	// Namespace keeps answers apart.
	Namespace string
}

// maxSeconds is the longest time that a request can mean, in seconds.
const maxSeconds = 365 * 24 * 60 * 60

// ReadWishes reads the Cache-Control of a request: no-cache, no-store and max-age.
// Others mean nothing here.
func ReadWishes(h http.Header) Wishes {
	w := Wishes{MaxAge: -1}
	for _, list := range h["Cache-Control"] {
		for directive := range strings.SplitSeq(list, ",") {
			name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
			switch name {
			case "no-cache":
				w.NoRead = true
			case "no-store":
				w.NoKeep = true
			case "max-age":
				if n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 63); err == nil {
					w.MaxAge = time.Duration(min(n, maxSeconds)) * time.Second
				}
			}
		}
	}
	return w
}
