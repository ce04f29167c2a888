package state

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Values are texts that instances keep together for a while, such as answers. They
// may be lost at any time, and nobody waits long for them. Values are safe for
// concurrent use.
type Values interface {
	// Load gets the value of each key, nil where there is none, within the store's
	// timeout. A value of more than most bytes is ErrForeign. Of many keys the last
	// have nothing when the values are more than 32 MiB together, or the time is up.
	// After an error there may be nothing else; while the store is known to be away it
	// comes at once.
	Load(ctx context.Context, most int, keys ...string) ([][]byte, error)
	// Keep keeps a value for so long, in the background, if there is the time for it.
	Keep(key string, value []byte, ttl time.Duration)
}

const (
	// maxWaiting and maxWaitingBytes bound what waits to be kept.
	maxWaiting      = 256
	maxWaitingBytes = 16 << 20
	// maxLoadedBytes bounds what is asked for at once, and is how much is enough: each
	// value may have megabytes, and a request may ask for thousands.
	maxLoadedBytes = 32 << 20
	// valuesKey begins the name of every value behind the prefix.
	valuesKey = "value:"
)

// keeper are the values that wait to be kept.
type keeper struct {
	waiting chan waitingValue
	bytes   atomic.Int64
}

type waitingValue struct {
	key   string
	value []byte
	ttl   time.Duration
}

// Values are those of all instances with the same prefix.
func (s *Redis) Values() Values { return s }

// Load implements Values.
func (s *Redis) Load(ctx context.Context, most int, keys ...string) ([][]byte, error) {
	if s.breaker.down() {
		return nil, ErrDown
	}
	bounded, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	values := make([][]byte, len(keys))
	var foreign error
	size, atOnce := 0, max(maxLoadedBytes/max(most, 1), 1)
	for from := 0; from < len(keys) && size < maxLoadedBytes; from += atOnce {
		to := min(from+atOnce, len(keys))
		n, err := s.load(bounded, most, keys[from:to], values[from:to])
		size += n
		switch {
		case err == nil:
		case errors.Is(err, ErrForeign):
			foreign = err
		case ctx.Err() != nil: // the client went away, which says nothing of Redis
			return values, ctx.Err()
		case from > 0 && bounded.Err() != nil: // it has answered, but not all of that in this time
			return values, foreign
		default:
			s.stats.failures.Add(1)
			s.breaker.miss(time.Now(), err)
			return values, err
		}
		s.breaker.misses.Store(0)
	}
	return values, foreign
}

// load gets some values, and how many bytes they are.
func (s *Redis) load(ctx context.Context, most int, keys []string, values [][]byte) (size int, err error) {
	foreign := false
	replies := make([]*redis.StringCmd, len(keys))
	// A range, as somebody may have put gigabytes there.
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			replies[i] = p.GetRange(ctx, s.options.Prefix+valuesKey+key, 0, int64(most))
		}
		return nil
	})
	for i, reply := range replies {
		value, failure := reply.Bytes()
		size += len(value)
		switch {
		case wrongType(failure), failure == nil && len(value) > most:
			s.foreign(s.options.Prefix+valuesKey+keys[i], 1)
			foreign = true
		case failure == nil && len(value) > 0:
			values[i] = value
		}
	}
	if foreign && (err == nil || wrongType(err)) {
		err = ErrForeign
	}
	return size, err
}

// Keep implements Values.
func (s *Redis) Keep(key string, value []byte, ttl time.Duration) {
	size := int64(len(value))
	if s.breaker.down() || ttl < time.Millisecond {
		return
	}
	if s.keeper.bytes.Add(size) > maxWaitingBytes {
		s.keeper.bytes.Add(-size)
		return
	}
	select {
	case s.keeper.waiting <- waitingValue{key, value, ttl}:
	default:
		s.keeper.bytes.Add(-size)
	}
}

// keepValues keeps what waits for it, until it is canceled.
func (s *Redis) keepValues(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case v := <-s.keeper.waiting:
			s.keeper.bytes.Add(-int64(len(v.value)))
			if s.breaker.down() {
				continue
			}
			// What fails is told by the rounds of share, which go on all the time.
			if s.client.Set(ctx, s.options.Prefix+valuesKey+v.key, v.value, v.ttl).Err() != nil {
				s.stats.failures.Add(1)
			}
		}
	}
}

// Values are none.
func (Alone) Values() Values { return nil }
