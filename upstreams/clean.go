package upstreams

import "github.com/llmrouter/caddy-llm-router/internal/api"

// Clean tells of an answer that was delivered whole whether it may be given to other
// clients as well: it came in one piece from one deployment, nothing had to be taken
// out of it, and its end is beyond doubt.
func (x *Exchange) Clean() bool {
	switch {
	case x.resumed, x.account.dropped > 0, x.answer.res == nil, len(x.answer.res.Trailer) > 0:
		return false
	case x.answer.streams: // of one that broke behind its finish_reason, the usage may be missing
		return !x.stream.raw && x.dialect != api.Other && (x.stream.tracker.Ended() || x.stream.source.ended)
	}
	return true
}
