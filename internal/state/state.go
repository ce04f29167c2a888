// Package state is what many instances of the router know together about their
// deployments: what was used in the last minute, which of them cool down, and
// what health checks found. A lone instance shares nothing and pays nothing;
// several share through Redis or Valkey.
//
// Nothing here stands in the way of a request, with two exceptions that are asked
// for: in strict mode, Reserve waits for Redis, and so does Load for answers that
// were kept, both for a bounded time.
package state

import (
	"context"
	"errors"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// Shared is what one deployment shares. The store calls it from goroutines of
// its own, one at a time for all but the last two methods; it may do so for a moment
// after the deployment has been detached.
type Shared interface {
	// Counts reports whether there is anything to count: a deployment without
	// limits is spared the exchange.
	Counts() bool
	// TakeSpent appends to dst what was used since the last call, one entry for
	// each second that has any. What is taken goes on counting as used here until
	// the next SetShared, whose minute has it, or until it is given back.
	TakeSpent(now time.Time, dst []Spent) []Spent
	// Untake gives back what could not be shared, with its ages as of now.
	Untake(now time.Time, spent []Spent)
	// SetShared tells what all instances together have used in the last minute,
	// this one's own taken use included, the oldest first, with ages as of the
	// second that began then. The slice is only valid during the call.
	SetShared(began time.Time, minute []Spent)
	// CoolUntil tells that another instance has put the deployment into a
	// cooldown that ends after so long. Of two cooldowns the later end holds.
	CoolUntil(now time.Time, class retry.Class, left time.Duration)
	// Restored tells that another instance has ended the deployment's cooldown.
	Restored(now time.Time)
}

// Sessions are those that a pool keeps on deployments. The store calls them from
// goroutines of its own, and may do so for a moment after they have been detached.
type Sessions interface {
	// TTL is how long a session is remembered after its last answer.
	TTL() time.Duration
	// TakeChanges appends to dst what others have not been told yet, up to most in
	// all, and takes it for told.
	TakeChanges(dst []affinity.Change, most int) []affinity.Change
	// Learn tells on which deployment another instance has a session.
	Learn(now time.Time, key affinity.Key, deployment string)
}

// Spent is what was used within one second.
type Spent = selection.Spent

// Store connects deployments with those of the same key in other instances. It
// is safe for concurrent use.
type Store interface {
	// Attach connects a deployment until detach is called, which may be called
	// more than once. Attaching the same deployment under the same key again, as
	// an old and a new config do, gives the same link; it lasts until each of
	// them has detached.
	Attach(key string, d Shared) (link Link, detach func())
	// AttachSessions connects a pool's sessions with those of the pool of that name in
	// other instances, until detach is called, which may be called more than once.
	AttachSessions(pool string, s Sessions) (detach func())
	// Strict reports whether requests have to be reserved before they are sent.
	Strict() bool
	// Up reports whether what is shared is up to date.
	Up() bool
	Stats() Stats
	// Values are what instances keep together; nil where there are no others.
	Values() Values
	// Observe adds somebody to tell of changes. Only the last one that has been
	// added and not been removed is told.
	Observe(o Observer) (remove func())
	// Start begins to share, once however often it is called. Before it, nothing
	// goes over the network by itself.
	Start()
	// Close hands over what is left to share, in bounded time, and ends it.
	Close() error
}

// Link is one deployment's way to the others. Methods without a context never
// block.
type Link interface {
	// Others are told of cooldowns, which last at most MaxCooldown.
	selection.Others
	// Arbiter's errors come within the store's timeout, and at once while Redis is
	// known to be away. Its waits are at most 61 seconds.
	selection.Arbiter
	// Lead reports whether it is for this instance to check the deployment's
	// health, and if so keeps the others from it for that long; with a lease of 0,
	// no longer. After an error, which comes at once unless the store is up, the
	// caller checks for itself.
	Lead(ctx context.Context, lease time.Duration) (bool, error)
	// Result is what a health check found last, in whichever instance; not ok
	// when there is none that is still to be believed.
	Result() (healthy bool, age time.Duration, ok bool)
	// PublishResult tells the others what a health check found, to be believed
	// for so long.
	PublishResult(healthy bool, believed time.Duration)
}

// Stats are figures since the store was made.
type Stats struct {
	// Exchanges counts rounds with Redis that went well, Failures those that did
	// not, reservations included.
	Exchanges, Failures uint64
	// Foreign counts values and messages in Redis that are not this program's.
	Foreign uint64
}

// Observer is told what an operator should know. Its fields may be nil. It is
// called seldom: never for each request.
type Observer struct {
	// Down is called when Redis cannot be used, once until it can again.
	Down func(err error)
	// Up is called when it can be used again, with how long it could not.
	Up func(after time.Duration)
	// Foreign is called for a value in Redis that is not this program's, at most
	// once an hour. Where it stood is a key or a channel.
	Foreign func(where string)
}

// MaxCooldown is the longest cooldown that is told or believed.
const MaxCooldown = 24 * time.Hour

// minuteBuckets are the seconds of a sliding minute and the one that is being
// left: what was used frees between 60 and 61 seconds later, never sooner.
const minuteBuckets = 61

var (
	// ErrDown says that Redis is known to be away.
	ErrDown = errors.New("the shared state cannot be reached")
	// ErrForeign says that Redis holds something that this program did not write.
	ErrForeign = errors.New("foreign value in the shared state")

	errLate = errors.New("the reservation reached the shared state too late")
)
