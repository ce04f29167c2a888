package upstreams

import (
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
	"github.com/llmrouter/caddy-llm-router/internal/usage"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// account is what is known of the cost of one attempt while it lasts.
type account struct {
	// began tells that the answer has content, of which some may have reached the
	// client, and complete that all of it has come.
	began, complete bool
	said            usage.Account
	// tail is the end of a JSON answer that is too long to be held.
	tail usage.Tail
	// stream is the state of a streamed answer, nil for any other.
	stream *sse.Tracker
	// first is the time from the start of the attempt to its first content.
	first time.Duration
	// dropped counts the events whose data was not JSON.
	dropped int
}

// observe takes note of an event of the answer's stream.
func (x *Exchange) observe(ev sse.Event) sse.Mark {
	mark := sse.Inspect(x.dialect, ev)
	x.stream.tracker.Observe(mark)
	switch {
	case mark.Kind == sse.Invalid:
		x.account.dropped++
	case mark.Kind == sse.Content && !x.account.began:
		x.contentCame()
	}
	x.idCame(mark.AnswerID)
	if mark.Usage != nil {
		x.account.said.Read(mark.Usage)
	}
	return mark
}

// contentCame takes note of the first content.
func (x *Exchange) contentCame() {
	x.account.began = true
	x.account.first = time.Since(x.watch.began)
}

// wholeHeld takes note of an answer that does not stream, as far as it is held.
func (x *Exchange) wholeHeld() {
	switch {
	case x.answer.complete:
		x.contentCame()
		x.account.complete = true
		if x.answer.json {
			x.account.said.ReadAnswer(x.answer.held)
		}
	case x.answer.json:
		x.account.said.ReadHead(x.answer.held)
		x.account.tail.Write(x.answer.held) //nolint:errcheck // it never fails
	}
}

// wholeCame takes note of the end of an answer that was too long to be held.
func (x *Exchange) wholeCame() {
	x.contentCame()
	x.account.complete = true
	x.account.said.ReadTail(&x.account.tail)
}

// accounted adds to the outcome of an attempt what it has cost. However an attempt
// ends, it ends here, and once.
func (x *Exchange) accounted(out engine.Outcome) engine.Outcome {
	a := &x.account
	out.Streamed, out.FirstToken, out.Dropped = a.stream != nil, a.first, a.dropped
	said, nonsense := a.said.Usage()
	switch {
	case out.Class == retry.None && out.Streamed && x.stream.raw:
		out.Invalid = true
	case out.Class == retry.None, a.ended(said.State):
		out.Usage, out.Invalid = said, nonsense
	case a.stream != nil && a.began:
		events, bytes := a.stream.Output()
		out.Usage = a.said.Estimate(int64(x.facts.PromptTokens()), events, bytes)
	case a.began: // nothing of it can be counted
		out.Usage = a.said.Estimate(int64(x.facts.PromptTokens()), 0, 0)
	}
	return out
}

// ended tells whether the answer was complete, although its delivery failed: its
// account is as good as it will ever be.
func (a *account) ended(said usage.State) bool {
	if a.stream == nil {
		return a.complete
	}
	return a.stream.Ended() || a.stream.Complete() && said == usage.Reported
}
