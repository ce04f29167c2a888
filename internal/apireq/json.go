package apireq

import (
	"bytes"
)

// maxEscapedKey is the longest spelling of a key that matters: every character
// of max_completion_tokens as an escape. Longer keys are not decoded.
const maxEscapedKey = 6 * len("max_completion_tokens")

// ScanJSON reads the facts of a JSON request body in one pass over the top
// level of its object. It is not a validator: it sees that strings and brackets
// close, that the top level is well-formed, and that model and stream can be
// read in one way only, and leaves the rest to the upstream. A body that
// encoding/json accepts is read as encoding/json reads it, or refused for its
// model or stream. Errors are of type *ScanError.
//
// Keys match exactly. One that differs from model or stream only in case is
// refused, because a server built on encoding/json takes it for the same. Of
// any other key that comes twice the last one counts, as in most decoders, but
// prompts add up.
func ScanJSON(body []byte) (Facts, error) {
	s := jsonScan{facts: newFacts()}
	m, err := membersOf(body)
	if err != nil {
		return newFacts(), err
	}
	var scratch [maxEscapedKey]byte
	for m.next() {
		key := m.key
		if bytes.IndexByte(key, '\\') >= 0 {
			if len(key) > maxEscapedKey {
				continue
			}
			var ok bool
			if key, ok = unescape(scratch[:0], key); !ok {
				return newFacts(), fail(ErrSyntax, m.keyAt)
			}
		}
		if err := s.member(key, &m); err != nil {
			return newFacts(), err
		}
	}
	if m.err != nil {
		return newFacts(), m.err
	}
	if end := skipSpace(body, m.at); end < len(body) {
		return newFacts(), fail(ErrTrailing, end)
	}
	s.facts.Model = string(s.model)
	s.facts.MaxOutput = s.limits.first()
	return s.facts, nil
}

// jsonScan is what one pass has gathered.
type jsonScan struct {
	facts  Facts
	limits outputLimits
	model  []byte // becomes a string only when the body is accepted
	stream bool   // the key has been seen
}

// member takes one member of the top-level object.
func (s *jsonScan) member(key []byte, m *members) (err error) {
	value := m.b[m.start:m.end]
	switch string(key) {
	case "model":
		if s.facts.ModelStart >= 0 {
			return fail(ErrModelTwice, m.keyAt)
		}
		s.facts.ModelStart, s.facts.ModelEnd = m.start, m.end
		if s.model, err = jsonModel(value); err != nil {
			return fail(err, m.start)
		}
	case "stream":
		if s.stream {
			return fail(ErrStreamTwice, m.keyAt)
		}
		s.stream = true
		switch string(value) {
		case "true":
			s.facts.Stream, s.facts.StreamSet = true, true
		case "false":
			s.facts.StreamSet = true
		case "null": // the same as leaving it out
		default:
			return fail(ErrStreamType, m.start)
		}
	case "max_completion_tokens":
		s.limits.completion = count(value)
	case "max_output_tokens":
		s.limits.output = count(value)
	case "max_tokens":
		s.limits.tokens = count(value)
	case "options":
		s.limits.predict = numPredict(value)
	case "stream_options":
		s.facts.StreamOptions = Span{m.start, m.end}
	case "priority":
		s.facts.Priority = Span{m.start, m.end}
	case "prompt_cache_key":
		s.facts.PromptCacheKey = Span{m.start, m.end}
	case "previous_response_id":
		s.facts.PreviousResponse = Span{m.start, m.end}
	case "session_id":
		s.facts.SessionID = Span{m.start, m.end}
	case "metadata":
		s.facts.Metadata = Span{m.start, m.end}
	case "store":
		s.facts.Unstored = string(value) == "false"
	case "truncation", "truncate", "truncate_prompt_tokens":
		s.facts.Truncates = s.facts.Truncates || truncates(value)
	case "n":
		s.facts.Choices = max(count(value), 1)
	default:
		if isPrompt(key) {
			s.facts.PromptBytes += len(value)
			s.facts.prompt.add(key, m.start, m.end)
		} else if err := misspelt(key); err != nil {
			return fail(err, m.keyAt)
		}
	}
	return nil
}

// truncates tells whether a prompt may be cut, by the value of a field for that.
func truncates(value []byte) bool {
	switch string(value) {
	case "null", "false", `"disabled"`, `"NONE"`, `"none"`:
		return false
	}
	return true
}

// jsonModel is the text of the model, given its JSON value.
func jsonModel(value []byte) ([]byte, error) {
	if value[0] != '"' {
		return nil, ErrModelType
	}
	text := value[1 : len(value)-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		if len(text) > 6*MaxModelLen {
			return nil, ErrModelLong
		}
		var ok bool
		if text, ok = unescape(nil, text); !ok {
			return nil, ErrModelText
		}
	}
	return checkModel(text)
}

// CheckModel tells why a model that is not in a body is refused: ErrModelLong or
// ErrModelText, as in one.
func CheckModel(model string) error {
	_, err := checkModel([]byte(model))
	return err
}

// checkModel accepts a model that is short and printable.
func checkModel(text []byte) ([]byte, error) {
	if len(text) > MaxModelLen {
		return nil, ErrModelLong
	}
	if !isText(text) {
		return nil, ErrModelText
	}
	return text, nil
}

// isPrompt reports whether a field is part of what the model reads: messages
// (chat, Anthropic), input (Responses, embeddings), prompt (completions, images,
// audio), system (Anthropic, Ollama), instructions (Responses), tools, contents
// (Gemini), documents and query (rerank).
func isPrompt(key []byte) bool {
	switch string(key) {
	case "messages", "input", "prompt", "system", "instructions", "tools", "contents", "documents", "query":
		return true
	}
	return false
}

// misspelt refuses a key that differs from model or stream only in case. The
// long s, U+017F, folds to an s: that key is a byte longer.
func misspelt(key []byte) error {
	switch {
	case len(key) == len("model") && bytes.EqualFold(key, []byte("model")):
		return ErrModelKey
	case len(key) >= len("stream") && len(key) <= len("stream")+1 && bytes.EqualFold(key, []byte("stream")):
		return ErrStreamKey
	}
	return nil
}
