package upstreams

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
)

// Affinity keeps the requests of a session on the deployment that has answered it
// last, while that one is usable: a preference among what order, health, cooldowns,
// limits, teams and tags leave, and stronger than the strategy alone. A request of
// the Responses API that names an answer with `previous_response_id` goes to the
// deployment that gave that answer before all else. Teams share no sessions.
type Affinity struct {
	// Keep no sessions, in spite of the router's affinity. Default: false.
	Off bool `json:"off,omitempty"`

	// What names the session of a request, tried in this order; the first that is not
	// empty does. Each is a text with placeholders, which is empty where one of
	// them is, or one of these:
	//
	// - `session`: the headers `X-Claude-Code-Session-Id`, `X-Session-Id`,
	//   `session_id` and `Session-Id`, and the fields `prompt_cache_key`,
	//   `metadata.session_id`, `metadata.user_id`, `previous_response_id` and
	//   `session_id` of a JSON body
	// - `prompt`: the prompt, up to and with the first message of the user
	// - `auto`: `session`, then `prompt`
	// - `previous_response_id`: nothing but answers that are gone on with
	By []string `json:"by,omitempty"`

	// How long a session is remembered after its last answer. Default: `1h`.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// How many sessions of the pool are remembered. Those whose last answer was
	// longest ago give way. Default: 100000.
	Size int `json:"size,omitempty"`
}

const (
	defaultSessionTTL = time.Hour
	defaultSessions   = 100_000
)

func (a *Affinity) validate() error {
	switch {
	case a == nil || a.Off:
		return nil
	case len(a.By) == 0:
		return errors.New("nothing names a session; write auto, or a text with placeholders")
	case a.TTL < 0:
		return errors.New("ttl is negative")
	case a.Size < 0 || a.Size > maxSessions:
		return fmt.Errorf("size is not from 0 to %d", maxSessions)
	}
	for _, by := range a.By {
		if len(namers(by)) == 0 {
			return fmt.Errorf("%q names no session; %s", by, expectedNames)
		}
	}
	return nil
}

const expectedNames = "expected auto, session, prompt, previous_response_id or a text with a placeholder"

// options are what the engine keeps sessions by, when that is on.
func (a *Affinity) options(shared bool) (o affinity.Options, on bool) {
	if a == nil || a.Off {
		return o, false
	}
	o = affinity.Options{TTL: orDuration(a.TTL, defaultSessionTTL), Size: a.Size, Shared: shared}
	if o.Size == 0 {
		o.Size = defaultSessions
	}
	return o, true
}

// maxSessions keeps a table within a few gigabytes.
const maxSessions = 10_000_000

// hasPlaceholder tells whether a text is another one for another request.
func hasPlaceholder(text string) bool {
	_, rest, ok := strings.Cut(text, "{")
	return ok && strings.Contains(rest, "}")
}
