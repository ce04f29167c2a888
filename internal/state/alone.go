package state

import (
	"context"
	"time"

	"github.com/llmrouter/caddy-llm-router/retry"
)

// Alone is the store of an instance without others. It keeps nothing.
type Alone struct{}

// Attach gives a link that leads nowhere.
func (Alone) Attach(string, Shared) (Link, func()) { return lone{}, func() {} }

// AttachSessions connects with nothing.
func (Alone) AttachSessions(string, Sessions) (detach func()) { return func() {} }

// Strict is false: an instance's own limits are exact.
func (Alone) Strict() bool { return false }

// Up is true: there is nothing to miss.
func (Alone) Up() bool { return true }

// Stats are all 0.
func (Alone) Stats() Stats { return Stats{} }

// Observe never tells anything.
func (Alone) Observe(Observer) func() { return func() {} }

// Start does nothing.
func (Alone) Start() {}

// Close does nothing.
func (Alone) Close() error { return nil }

type lone struct{}

func (lone) Cooled(retry.Class, time.Duration) {}
func (lone) Restored()                         {}

func (lone) Reserve(context.Context, int64, int64, int64) (bool, time.Duration, error) {
	return true, 0, nil
}
func (lone) Lead(context.Context, time.Duration) (bool, error) { return true, nil }

func (lone) Result() (bool, time.Duration, bool) { return false, 0, false }
func (lone) PublishResult(bool, time.Duration)   {}

// Interface guards
var (
	_ Store = Alone{}
	_ Link  = lone{}
)
