// Package apireq reads a request to an LLM API once: it buffers the body in
// pooled memory, finds in one pass the few facts that a router decides on, and
// hands the same bytes to any number of attempts with only the model replaced.
package apireq

// maxCount is the largest value that any count of Facts takes. It fits an int
// on every platform, and sums of a few of them do not overflow an int64.
const maxCount = 1<<31 - 1

// MaxModelLen is the longest model name that is accepted, in bytes.
const MaxModelLen = 4096

// Facts is what the router needs to know of a request body.
type Facts struct {
	// Model is the model that the client asks for. It is a copy: it stays
	// valid after the body is released. Empty: absent, or the empty string.
	Model string
	// ModelStart and ModelEnd are the span of the model's value in the body,
	// with its quotes in JSON and without anything around it in a form.
	// Both are -1 when the body has no model.
	ModelStart, ModelEnd int
	// Stream reports whether the client asks for a stream.
	Stream bool
	// StreamSet reports whether the body says anything about streaming. It
	// matters on Ollama's own paths, which stream unless told not to.
	StreamSet bool
	// MaxOutput is the output limit that the client sets, in tokens: the first
	// positive one of max_completion_tokens, max_output_tokens, max_tokens and
	// Ollama's options.num_predict. 0: not set.
	MaxOutput int
	// Choices is the number of answers asked for, `n`. Default: 1.
	Choices int
	// StreamOptions and Priority are the spans of the values of stream_options and
	// of vLLM's priority in a JSON body, the zero Span without one.
	StreamOptions, Priority Span
	// PromptCacheKey, PreviousResponse, SessionID and Metadata are the spans of the
	// values of prompt_cache_key, previous_response_id, session_id and metadata in a
	// JSON body, the zero Span without one.
	PromptCacheKey, PreviousResponse, SessionID, Metadata Span
	// Unstored tells that the client does not want the answer to be kept, `store`
	// being false: no request will name it.
	Unstored bool
	// Truncates tells that the client wants a prompt that is too long to be cut, and not
	// refused: by truncation in the Responses API, truncate_prompt_tokens of vLLM, or
	// truncate of servers of embeddings.
	Truncates bool
	// PromptBytes is the total length in the body of the values that make up
	// the prompt, JSON syntax and base64 media included.
	PromptBytes int

	prompt promptParts // of a JSON body
}

// PromptTokens estimates the length of the prompt at four bytes per token,
// rounded up. It errs on the high side for prompts that carry media.
func (f *Facts) PromptTokens() int {
	n := f.PromptBytes / 4
	if f.PromptBytes%4 != 0 {
		n++
	}
	return n
}

// newFacts is a request that says nothing.
func newFacts() Facts {
	return Facts{ModelStart: -1, ModelEnd: -1, Choices: 1}
}

// outputLimits are the limits of one request by the key they came from.
type outputLimits struct {
	completion, output, tokens, predict int
}

func (l outputLimits) first() int {
	for _, n := range [...]int{l.completion, l.output, l.tokens, l.predict} {
		if n > 0 {
			return n
		}
	}
	return 0
}
