package engine

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// carry counts the request among those that its deployment carries, with what that
// has to read of its prompt.
func (w *walk) carry(t *try) {
	c, unread := t.turn.Candidate, w.req.PromptTokens
	if watcher, ok := w.target.Pool.Strategy.(selection.Watcher); ok {
		unread = watcher.Sent(&w.query, c)
	}
	t.carried = c.Carry(w.req.PromptTokens, unread)
}

// time tells the deployment how long the attempt took, for a strategy that goes by
// it. A failure is never fast; one that is nobody's fault, or a client that leaves,
// tells at least how long it was waited for in vain.
func (t *try) time(now time.Time, out Outcome, blameless bool) {
	if _, ok := t.turn.Target.Pool.Strategy.(selection.Timed); !ok {
		return
	}
	c, prompt := t.turn.Candidate, t.turn.walk.req.PromptTokens
	switch {
	case out.Class == retry.None:
		if answer, ok := timeOf(out, prompt, t.turn.Took); ok {
			c.Latency.Served(now, answer)
		}
	case out.Class == retry.Canceled, out.Class == retry.Timeout && blameless:
		if t.carried.Answered() {
			c.Latency.Waited(now, prompt, t.turn.Took)
		}
	case out.Class.Blames() && !blameless:
		c.Latency.Failed(now, prompt, t.turn.Took)
	}
}

// timeOf is how long a good answer took; false where nobody has measured, as of
// connections that were upgraded.
func timeOf(out Outcome, prompt int, took time.Duration) (a selection.Answer, ok bool) {
	a = selection.Answer{Prompt: prompt, Took: out.FirstToken}
	if out.Streamed {
		a.FirstToken, a.Took = out.FirstToken, took
	}
	if out.Usage.State == usage.Reported {
		a.Output = out.Usage.Output
	}
	return a, out.FirstToken > 0
}
