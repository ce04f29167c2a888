package selection

import (
	"context"
	"time"
)

// Reservation is what one request has taken of a deployment's limits. The zero
// Reservation has taken nothing. It belongs to one goroutine at a time and must
// not be copied once used.
type Reservation struct {
	limiter *Limiter // nil once settled
	second  int64
	tokens  int64
}

// Settle says how many tokens the request really took. What follows does
// nothing, so that a deferred Keep is always right.
func (r *Reservation) Settle(tokens int64) {
	if l := r.settle(); l != nil && tokens != r.tokens {
		more := amount{tokens: tokens - r.tokens}
		l.minute.correct(r.second, more, more)
	}
}

// Keep settles with the estimate that was reserved.
func (r *Reservation) Keep() { r.settle() }

// Cancel gives everything back: nothing was sent.
func (r *Reservation) Cancel() {
	if l := r.settle(); l != nil {
		back := amount{-1, -r.tokens}
		l.minute.correct(r.second, back, back)
	}
}

func (r *Reservation) settle() *Limiter {
	l := r.limiter
	r.limiter = nil
	return l
}

// Confirm asks whoever keeps the limit of all instances, where somebody does. It
// must come before the request is sent. Where the limit is used up the
// reservation is canceled, and wait is how long until the request would fit.
// When nobody can tell, what this instance knows stands.
func (r *Reservation) Confirm(ctx context.Context) (wait time.Duration, ok bool) {
	l := r.limiter
	if l == nil || l.strict == nil {
		return 0, true
	}
	ok, wait, err := l.strict.Reserve(ctx, l.rpm, l.tpm, r.tokens)
	switch {
	case err != nil:
		l.minute.correct(r.second, amount{}, amount{1, r.tokens})
		return 0, true
	case !ok:
		l.minute.correct(r.second, amount{-1, -r.tokens}, amount{})
		r.Keep()
	}
	return wait, ok
}
