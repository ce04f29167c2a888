package state

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Redis shares through a Redis or a Valkey, single, behind Sentinels or as a
// Cluster.
type Redis struct {
	client   redis.UniversalClient
	options  Options
	channel  string // for what is told of deployments
	sessions string // and of sessions
	origin   string // of this store among all instances
	breaker  breaker
	stats    counters
	keeper   keeper

	mu      sync.Mutex // protects what follows
	members []*member
	byKey   map[string][]*member
	pools   map[string][]*poolSessions // by the pool's name

	start, stop sync.Once
	cancel      context.CancelFunc
	ended       sync.WaitGroup
	announce    chan struct{} // something is to be told
	reconcile   atomic.Bool   // what others have told may have been missed
	subscribed  atomic.Bool   // what they tell is heard
	round       round         // of the goroutine that shares
}

// quiet keeps the client library from writing to standard error, a line for each
// attempt to connect. What matters of it is told to the Observer.
var quiet = sync.OnceFunc(logging.Disable)

// NewRedis makes a store. It does not connect before Start or the first use.
func NewRedis(o Options) *Redis {
	quiet()
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	s := &Redis{
		client: o.client(), options: o,
		channel:  o.Prefix + "events",
		sessions: o.Prefix + "sessions",
		origin:   strings.ToLower(rand.Text()),
		byKey:    make(map[string][]*member),
		pools:    make(map[string][]*poolSessions),
		announce: make(chan struct{}, 1),
		keeper:   keeper{waiting: make(chan waitingValue, maxWaiting)},
	}
	s.reconcile.Store(true)
	return s
}

// Start begins to share in the background.
func (s *Redis) Start() {
	s.start.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		s.ended.Go(func() { s.share(ctx) })
		s.ended.Go(func() { s.listen(ctx) })
		s.ended.Go(func() { s.keepValues(ctx) })
	})
}

// closeTimeout bounds the last round.
const closeTimeout = 500 * time.Millisecond

// Close ends the sharing. What cannot be handed over is given back.
func (s *Redis) Close() error {
	var err error
	s.stop.Do(func() {
		s.start.Do(func() {}) // no Start after a Close
		if s.cancel != nil {
			s.cancel()
			s.ended.Wait()
			s.lastRound()
		}
		err = s.client.Close()
	})
	return err
}

// Strict reports whether requests have to be reserved before they are sent.
func (s *Redis) Strict() bool { return s.options.Strict }

// Up reports whether the last round with Redis went well.
func (s *Redis) Up() bool { return s.breaker.up() }

// Observe adds somebody to tell of changes.
func (s *Redis) Observe(o Observer) (remove func()) { return s.breaker.observe(o) }

// counters are the Stats, counted.
type counters struct{ exchanges, failures, foreign atomic.Uint64 }

// Stats are figures since the store was made.
func (s *Redis) Stats() Stats {
	return Stats{
		Exchanges: s.stats.exchanges.Load(),
		Failures:  s.stats.failures.Load(),
		Foreign:   s.stats.foreign.Load(),
	}
}

// foreign takes note of something in Redis that this program did not write.
func (s *Redis) foreign(where string, n uint64) {
	if n == 0 {
		return
	}
	s.stats.foreign.Add(n)
	s.breaker.tellForeign(time.Now(), where)
}

// succeeded and failed take note of how a round or a reservation went.
func (s *Redis) succeeded() {
	s.stats.exchanges.Add(1)
	s.breaker.succeed(time.Now())
}

func (s *Redis) failed(err error) {
	s.stats.failures.Add(1)
	s.breaker.fail(time.Now(), err)
}

// Interface guard
var _ Store = (*Redis)(nil)
