package upstreams

import (
	"sync/atomic"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// notices are what an operator has been told of a deployment's accounts. Once is
// enough, however many answers there are, also over reloads.
type notices struct{ invalid, silent once }

// once is true the first time.
type once struct{ done atomic.Bool }

func (o *once) first() bool { return !o.done.Load() && !o.done.Swap(true) }

// Notice is what an operator should know of a deployment's accounts.
type Notice uint8

const (
	// NoNotice is nothing, or nothing new.
	NoNotice Notice = iota
	// InvalidAccount says that an answer had an account that cannot be believed.
	InvalidAccount
	// SilentStream says that a stream has not told what it cost, which a limit on
	// tokens has to know, and that nobody has asked for it.
	SilentStream
)

// Notice tells what is new about the deployment's accounts with the outcome of
// an attempt. It says each thing once.
func (d *Deployment) Notice(a *engine.Attempt, out *engine.Outcome) Notice {
	switch {
	case out.Invalid:
		if d.notices.invalid.first() {
			return InvalidAccount
		}
	case out.Class == retry.None && out.Streamed && out.Usage.State == usage.Unknown &&
		d.TPM > 0 && !a.Target.Pool.Policy.UsageInStream:
		if d.notices.silent.first() {
			return SilentStream
		}
	}
	return NoNotice
}
