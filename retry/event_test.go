package retry

import (
	"strings"
	"testing"
)

func TestClassifyEventOrdinary(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":                "",
		"done":                   "[DONE]",
		"no JSON":                "rate limit exceeded",
		"a string":               `"error"`,
		"chat chunk":             ordinaryChunk,
		"chunk that says error":  `{"id":"x","object":"chat.completion.chunk","choices":[{"delta":{"content":"{\"error\":{\"code\":429}}"}}]}`,
		"chunk with null error":  `{"id":"x","error":null,"choices":[{"delta":{"content":"error"}}]}`,
		"usage chunk":            `{"id":"x","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1}}`,
		"whole completion":       `{"id":"x","object":"chat.completion","choices":[{"message":{"role":"assistant","content":"error"}}]}`,
		"embeddings":             `{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2]}],"model":"x"}`,
		"array of vectors":       `[[0.1,0.2],[0.3]]`,
		"responses created":      `{"type":"response.created","response":{"id":"x","status":"in_progress","error":null}}`,
		"responses delta":        `{"type":"response.output_text.delta","delta":"error \n"}`,
		"responses object":       `{"id":"x","object":"response","status":"completed","error":null,"output":[]}`,
		"anthropic start":        `{"type":"message_start","message":{"role":"assistant","content":[]}}`,
		"anthropic delta":        `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"error"}}`,
		"anthropic ping":         `{"type":"ping"}`,
		"anthropic message":      `{"id":"x","type":"message","role":"assistant","content":[{"type":"text","text":"error"}]}`,
		"ollama chat":            `{"model":"x","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"error"},"done":false}`,
		"ollama generate":        `{"model":"x","response":"error","done":false}`,
		"cohere":                 `{"id":"x","type":"content-delta","delta":{"message":{"content":{"text":"error"}}}}`,
		"bedrock bytes":          `{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abcd"}`,
		"transcription":          `{"text":"error: rate limit exceeded"}`,
		"message with content":   `{"message":"done","data":[1]}`,
		"success with a message": `{"code":0,"message":"success"}`,
		"minimax success":        `{"base_resp":{"status_code":0,"status_msg":"success"},"choices":[]}`,
		"empty error":            `{"error":{},"choices":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := ClassifyEvent([]byte(data)); got != None {
				t.Errorf("got %v, want %v for %s", got, None, data)
			}
		})
	}
}

func TestClassifyEventErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		data string
		want Class
	}{
		{"anthropic overloaded", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, Overloaded},
		{"anthropic server error", `{"type":"error","error":{"type":"api_error","message":"Internal server error"}}`, ServerError},
		{"anthropic bad request", `{"type":"error","error":{"type":"invalid_request_error","message":"messages: required"}}`, BadRequest},
		{"responses failed", `{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"sorry"},"instructions":"the prompt is too long","metadata":{"code":"insufficient_quota"}}}`, ServerError},
		{"responses failed on limits", `{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow down"}}}`, RateLimit},
		{"responses flat", `{"type":"error","code":"context_length_exceeded","message":"too long","param":null}`, ContextWindow},
		{"responses whole", `{"object":"response","status":"failed","metadata":{"message":"prompt is too long"},"error":{"code":"server_error","message":"sorry"}}`, ServerError},
		{"responses failed without a reason", `{"type":"response.failed","response":{"error":null}}`, ServerError},
		{"openrouter chunk", `{"id":"x","object":"chat.completion.chunk","error":{"code":429,"message":"Provider returned error"},"choices":[{"delta":{"content":""},"finish_reason":"error"}]}`, RateLimit},
		{"status in the object", `{"error":{"message":"no","status_code":400}}`, BadRequest},
		{"status as text", `{"error":{"message":"no","code":"503"}}`, Overloaded},
		{"string", `{"error":"model requires more system memory"}`, ServerError},
		{"vertex array", `[{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}]`, Overloaded},
		{"aws throttling", `{"message":"Too many tokens, please wait before trying again."}`, RateLimit},
		{"aws internal", `{"message":"The system encountered an unexpected error during processing. Try your request again."}`, ServerError},
		{"aws validation", `{"message":"Input is too long for requested model"}`, ContextWindow},
		{"aws timeout", `{"message":"Model has timed out in processing the request."}`, Timeout},
		{"aws by member", `{"throttlingException":{"message":"x"}}`, RateLimit},
		{"aws by type", `{"__type":"com.amazon#ServiceUnavailableException","message":"x"}`, Overloaded},
		{"inner object", `{"type":"rate_limit_error","message":"x"}`, RateLimit},
		{"inner object with a code", `{"code":502,"message":"Network connection lost.","metadata":{"error_type":"provider_unavailable"}}`, ServerError},
		{"flat", `{"object":"error","message":"x","type":"BadRequestError","code":400}`, BadRequest},
		{"detail", `{"detail":"Invalid API key"}`, Auth},
		{"cloudflare", `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"result":null}`, Auth},
		{"minimax", `{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}`, Quota},
		{"permission", `{"error":{"status":"PERMISSION_DENIED"}}`, Auth},
		{"unheard of", `{"error":{"code":"whatever"}}`, ServerError},
		{"blanks around", " \n" + `{"error":"Overloaded"}` + "\n", Overloaded},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ClassifyEvent([]byte(c.data)); got != c.want {
				t.Errorf("got %v, want %v for %s", got, c.want, c.data)
			}
			if got := Classify(200, nil, []byte(c.data)); got != c.want {
				t.Errorf("as a body: got %v, want %v for %s", got, c.want, c.data)
			}
		})
	}
}

const ordinaryChunk = `{"id":"chatcmpl-9x","object":"chat.completion.chunk","created":1751642570,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" \"word\"\n"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"abcdef"}`

func TestClassifyEventAllocatesNothing(t *testing.T) {
	for _, data := range []string{
		ordinaryChunk,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" \"word\""}}`,
		`{"type":"response.output_text.delta","item_id":"msg_1","delta":" \"word\"\n"}`,
		`{"model":"x","message":{"role":"assistant","content":" \"word\""},"done":false}`,
	} {
		body := []byte(data)
		if got := testing.AllocsPerRun(100, func() { ClassifyEvent(body) }); got != 0 {
			t.Errorf("got %v allocations, want 0 for %s", got, data)
		}
	}
}

// Time must grow with the size of the data and no faster: no shape of it may
// hold up a stream. Cut to 64 KiB, all of these take a few milliseconds.
func TestClassifyHostileShapes(t *testing.T) {
	for _, piece := range []string{`{"error":`, `[`, `{"error":"{\"`, `\`, `"`, `\"`, `{"`, "model a ", "context ", "exceed ", `{"a":1,`} {
		body := []byte(`{"error":"` + strings.Repeat(piece, maxBody/len(piece)))
		ClassifyEvent(body)
		Classify(400, nil, body)
		Classify(400, nil, body[10:])
	}
}

func BenchmarkClassifyEvent(b *testing.B) {
	body := []byte(ordinaryChunk)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		ClassifyEvent(body)
	}
}
