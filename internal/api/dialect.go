// Package api knows the wire formats that LLM clients and servers speak, as far
// as a router has to: which dialect a path belongs to and what an error looks
// like in it.
package api

import "strings"

// Dialect is the wire format of a request path.
type Dialect uint8

const (
	// Other is any path that is not one of those below: embeddings, images,
	// audio, rerank and whatever comes next. Their errors are OpenAI's.
	Other Dialect = iota
	// Chat is OpenAI's chat completions, /v1/chat/completions.
	Chat
	// Completions is OpenAI's legacy text completions, /v1/completions.
	Completions
	// Responses is OpenAI's Responses API, /v1/responses.
	Responses
	// Messages is Anthropic's Messages API, /v1/messages.
	Messages
	// OllamaChat is Ollama's own /api/chat, streamed as NDJSON.
	OllamaChat
	// OllamaGenerate is Ollama's own /api/generate, streamed as NDJSON.
	OllamaGenerate
)

// DialectOf tells the dialect of a URL path by its end, so that a prefix such
// as /openai/deployments/x does not hide it.
func DialectOf(path string) Dialect {
	path = strings.TrimSuffix(path, "/")
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return Chat
	case strings.HasSuffix(path, "/completions"):
		return Completions
	case strings.HasSuffix(path, "/responses"):
		return Responses
	case strings.HasSuffix(path, "/messages"), strings.HasSuffix(path, "/messages/count_tokens"):
		return Messages
	case strings.HasSuffix(path, "/api/chat"):
		return OllamaChat
	case strings.HasSuffix(path, "/api/generate"):
		return OllamaGenerate
	}
	return Other
}

// CountsTokens tells whether requests to a URL path have the tokens of their prompt
// counted, and nothing else: by Anthropic, by OpenAI or by vLLM.
func CountsTokens(path string) bool {
	path = strings.TrimSuffix(path, "/")
	return strings.HasSuffix(path, "/messages/count_tokens") || strings.HasSuffix(path, "/responses/input_tokens") ||
		strings.HasSuffix(path, "/tokenize")
}

// NDJSON reports whether streams of the dialect are one JSON object a line
// rather than server-sent events.
func (d Dialect) NDJSON() bool { return d == OllamaChat || d == OllamaGenerate }
