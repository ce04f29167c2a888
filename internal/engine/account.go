package engine

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// account takes note of what an attempt has cost, and of when its content came.
func (w *walk) account(t *try, out Outcome) {
	w.bill.add(t.turn.Candidate.Price, &out.Usage, out.Class)
	if out.Streamed && out.FirstToken > 0 && w.firstToken == 0 {
		w.firstToken = t.began.Sub(w.began) + out.FirstToken
	}
}

// account settles what the attempt took of its deployment's limits, and takes
// note of how fast and how long the answer was.
func (t *try) account(out Outcome) {
	c := t.turn.Candidate
	tokens := out.Usage.Input + out.Usage.Output
	switch {
	case out.Usage.State != usage.Unknown:
		t.reservation.Settle(tokens)
		c.Billed(out.Usage.Input, out.Usage.Cached, out.Usage.Output)
	case out.Class == retry.None, out.Class == retry.Timeout, out.Class == retry.Canceled:
		t.reservation.Keep() // the upstream was at work on it
	default:
		t.reservation.Settle(0)
	}
	if out.Class != retry.None {
		return
	}
	if out.Usage.State == usage.Reported {
		c.Output.Add(float64(out.Usage.Output))
	}
	if out.Streamed {
		c.FirstToken.Add(out.FirstToken.Seconds())
	}
}

// PerToken is the average time between two tokens of a stream that took so long;
// 0 where that is not known.
func PerToken(took time.Duration, out Outcome) time.Duration {
	if !out.Streamed || out.FirstToken <= 0 || out.Usage.Output < 2 {
		return 0
	}
	return (took - out.FirstToken) / time.Duration(out.Usage.Output-1)
}
