// Package usage reads what model servers say of the tokens that an answer has
// cost, in the shapes of all the APIs that pass through a router, and estimates
// it where an answer was cut before it could say.
package usage

// State tells how a Usage is known. Of a sum in which nothing is Unknown, it is the
// largest of the parts.
type State uint8

const (
	// Unknown is a usage of which nothing is known, or nothing that could be
	// believed. Its numbers are 0.
	Unknown State = iota
	// Reported is the server's own account.
	Reported
	// Estimated is made from the size of the prompt and from the output that was
	// seen, because the answer ended before its account.
	Estimated
)

var stateNames = [...]string{Unknown: "unknown", Reported: "reported", Estimated: "estimated"}

func (s State) String() string {
	if int(s) >= len(stateNames) {
		return stateNames[Unknown]
	}
	return stateNames[s]
}

// Usage is what an answer has cost, in tokens. No number is negative or above
// 4*MaxTokens.
type Usage struct {
	// Input is the whole prompt, what came from a cache or went into one
	// included; Output is all that was generated, reasoning included.
	Input, Output int64
	// Cached is the part of Input that was read from a cache, Reasoning the part
	// of Output that was reasoning. 0 where the server does not tell.
	Cached, Reasoning int64
	State             State
}

// MaxTokens is the largest number of tokens that a single field is believed to
// mean. The largest context windows hold a hundredth of it.
const MaxTokens = 1 << 31

// bytesPerToken is how long a token of text is taken to be, for want of the
// model's tokenizer.
const bytesPerToken = 4

// Estimate is the usage of an answer that ended before its account was complete.
// What was said so far is believed where it is more: the input in front of an
// Anthropic stream, the running account of vLLM. prompt is the estimate of the
// prompt in tokens. events and bytes count the output that was seen: servers
// send one token in an event, or several, but never half of one.
func (a *Account) Estimate(prompt, events, bytes int64) Usage {
	u, _ := a.Usage()
	if u.Input == 0 {
		u.Input = prompt
	}
	u.Output = max(u.Output, events, (bytes+bytesPerToken-1)/bytesPerToken)
	u.State = Estimated
	return u
}
