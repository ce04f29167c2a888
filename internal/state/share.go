package state

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	shareEvery = 100 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// share exchanges counters every so often and tells at once what is to be told,
// until it is canceled.
func (s *Redis) share(ctx context.Context) {
	tick := time.NewTicker(shareEvery)
	defer tick.Stop()
	var failures int
	var next time.Time // after failures, nothing is tried before it
	for {
		whole := false
		select {
		case <-ctx.Done():
			return
		case <-s.announce:
		case <-tick.C:
			whole = true
		}
		if time.Now().Before(next) {
			continue
		}
		err := s.tell(ctx)
		if err == nil && whole {
			err = s.wholeRound(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			s.failed(err)
			next = time.Now().Add(backoff(failures))
		default:
			failures = 0
			next = time.Time{}
		}
	}
}

// wholeRound exchanges counters and tells of sessions. Redis can be used when both
// go well: one that takes no writes may still answer.
func (s *Redis) wholeRound(ctx context.Context) error {
	well, err := s.exchange(ctx)
	if err == nil {
		err = s.tellSessions(ctx)
	}
	if err == nil && well {
		s.succeeded()
	}
	return err
}

// backoff doubles with each failure, up to maxBackoff, of which a random half
// is taken off so that instances do not come back all at once.
func backoff(failures int) time.Duration {
	wait := min(shareEvery<<min(failures, 10), maxBackoff)
	return wait - rand.N(wait/2)
}

// lastRound hands over what is left when the store closes.
func (s *Redis) lastRound() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.Up() && s.tell(ctx) == nil {
		_ = s.wholeRound(ctx) // what it could not hand over is given back
	}
	for _, m := range s.attached(nil) {
		m.batch.giveBack(time.Now(), m.d)
	}
}
