package cache

import (
	"context"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// State is what there is of an answer for somebody who follows it.
type State struct {
	Head Head
	// New is what has come since the last look.
	New []byte
	// Ended tells that nothing else comes, and Class how the answer has ended.
	Ended bool
	Class retry.Class
	// Lost tells that there will be no answer here, or no more of it.
	Lost bool
}

// Next waits until there is more of the answer than the follower has, or until it
// has ended. Of an answer that is no stream there is nothing before its end.
func (f *Flight) Next(ctx context.Context, have int) (State, error) {
	for {
		state, changed := f.look(have)
		if changed == nil {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return State{}, ctx.Err()
		}
	}
}

// look is what there is now, or what to wait for.
func (f *Flight) look(have int) (State, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := State{Head: f.head, Ended: f.ended, Class: f.class}
	s.Lost = f.gone || f.ended && (!f.began || have == 0 && f.class != retry.None)
	if !f.gone && f.began && (f.ended || f.head.Stream) {
		s.New = f.body[have:len(f.body):len(f.body)]
	}
	if s.Lost || s.Ended || len(s.New) > 0 {
		return s, nil
	}
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return s, f.changed
}
