package mock

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// send runs one request through the transport and reads the whole answer.
func send(t *testing.T, tr *Transport, method, path, body string) (*http.Response, string) {
	t.Helper()
	resp := open(t, tr, newRequest(t.Context(), method, path, body))
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer to %s %s: %v", method, path, err)
	}
	return resp, string(b)
}

func open(t *testing.T, tr *Transport, r *http.Request) *http.Response {
	t.Helper()
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return resp
}

func newRequest(ctx context.Context, method, path, body string) *http.Request {
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://mock"+path, rd)
	if err != nil {
		panic(err)
	}
	return r
}

// payloads are the data of the server-sent events of a stream, in order.
func payloads(t *testing.T, stream string) []string {
	t.Helper()
	var out []string
	for event := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		_, data, ok := strings.Cut(event, "data: ")
		if !ok {
			t.Fatalf("event without data: %q", event)
		}
		if data != "[DONE]" && !json.Valid([]byte(data)) {
			t.Fatalf("event data is not JSON: %q", data)
		}
		out = append(out, data)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func TestEndpoints(t *testing.T) {
	const (
		chat  = `{"model":"m1","messages":[{"role":"user","content":"one two three"}]}`
		input = `{"model":"m1","input":"one two three"}`
	)
	tests := []struct {
		name, path, body string
		want             map[string]string // gjson path: value
	}{
		{"chat", "/v1/chat/completions", chat, map[string]string{
			"object": "chat.completion", "model": "m1", "choices.0.message.role": "assistant",
			"choices.0.message.content": "Hi there you", "choices.0.finish_reason": "stop",
			"usage.prompt_tokens": "3", "usage.completion_tokens": "3", "usage.total_tokens": "6",
		}},
		{"chat below a prefix", "/openai/deployments/x/chat/completions", chat, map[string]string{
			"choices.0.message.content": "Hi there you",
		}},
		{"completions", "/v1/completions", `{"model":"m1","prompt":["one two","three"]}`, map[string]string{
			"object": "text_completion", "model": "m1", "choices.0.text": "Hi there you",
			"choices.0.finish_reason": "stop", "usage.prompt_tokens": "3", "usage.total_tokens": "6",
		}},
		{"responses", "/v1/responses", `{"model":"m1","instructions":"be kind","input":[{"role":"user",` +
			`"content":[{"type":"input_text","text":"one"}]}]}`, map[string]string{
			"object": "response", "status": "completed", "model": "m1",
			"output.0.content.0.type": "output_text", "output.0.content.0.text": "Hi there you",
			"usage.input_tokens": "3", "usage.output_tokens": "3", "usage.total_tokens": "6",
		}},
		{"messages", "/v1/messages", `{"model":"m1","system":"be kind","messages":[{"role":"user",` +
			`"content":[{"type":"text","text":"one"}]}]}`, map[string]string{
			"type": "message", "role": "assistant", "model": "m1", "content.0.type": "text",
			"content.0.text": "Hi there you", "stop_reason": "end_turn",
			"usage.input_tokens": "3", "usage.output_tokens": "3",
		}},
		{"count_tokens", "/v1/messages/count_tokens", chat, map[string]string{"input_tokens": "3", "content": ""}},
		{"ollama chat", "/api/chat", `{"model":"m1","stream":false,"messages":[{"content":"one"}]}`, map[string]string{
			"model": "m1", "message.role": "assistant", "message.content": "Hi there you", "done": "true",
			"done_reason": "stop", "prompt_eval_count": "1", "eval_count": "3",
		}},
		{"ollama generate", "/api/generate", `{"model":"m1","stream":false,"prompt":"one"}`, map[string]string{
			"model": "m1", "response": "Hi there you", "message": "", "done": "true",
		}},
		{"embeddings", "/v1/embeddings", input, map[string]string{
			"object": "list", "model": "m1", "data.#": "1", "data.0.object": "embedding", "data.0.index": "0",
			"data.0.embedding.#": "8", "usage.prompt_tokens": "3", "usage.total_tokens": "3",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := send(t, &Transport{Response: "Hi there you"}, "POST", tt.path, tt.body)
			if resp.StatusCode != 200 {
				t.Fatalf("got status %d: %s", resp.StatusCode, body)
			}
			if got := resp.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("got Content-Type %q, want application/json", got)
			}
			if resp.ContentLength != int64(len(body)) {
				t.Errorf("got Content-Length %d for a body of %d bytes", resp.ContentLength, len(body))
			}
			for path, want := range tt.want {
				if got := gjson.Get(body, path).String(); got != want {
					t.Errorf("%s: got %q, want %q in %s", path, got, want, body)
				}
			}
		})
	}
}

func TestDefaultResponseNamesTheModel(t *testing.T) {
	_, body := send(t, &Transport{}, "POST", "/v1/chat/completions", `{"model":"llama-3"}`)
	if got := gjson.Get(body, "choices.0.message.content").Str; !strings.Contains(got, "llama-3") {
		t.Errorf("got answer %q, want one that names llama-3", got)
	}
}

func TestModelsAndHealth(t *testing.T) {
	tests := []struct {
		name, method, path, version string
		status                      int
		key, want                   string
	}{
		{"list", "GET", "/v1/models", "", 200, "data.0.object", "model"},
		{"list below a prefix", "GET", "/openai/v1/models/", "", 200, "object", "list"},
		{"one", "GET", "/v1/models/gpt-4o", "", 200, "id", "gpt-4o"},
		{"one with a slash", "GET", "/v1/models/meta/llama", "", 200, "id", "meta/llama"},
		{"anthropic list", "GET", "/v1/models", "2023-06-01", 200, "data.0.type", "model"},
		{"anthropic list ends", "GET", "/v1/models", "2023-06-01", 200, "has_more", "false"},
		{"anthropic one", "GET", "/v1/models/claude", "2023-06-01", 200, "display_name", "claude"},
		{"health", "GET", "/health", "", 200, "status", "ok"},
		{"root", "GET", "/", "", 200, "status", "ok"},
		{"other GET", "GET", "/v1/files", "", 404, "error.code", "unknown_url"},
		{"GET of a POST endpoint", "GET", "/v1/chat/completions", "", 404, "error.code", "unknown_url"},
		{"other POST", "POST", "/v1/files", "", 404, "error.code", "unknown_url"},
		{"other method", "DELETE", "/v1/models/x", "", 404, "error.code", "unknown_url"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Failures and delays are for POST alone.
			tr := &Transport{Error: &Failure{Status: 500, Class: "server_error"}}
			r := newRequest(t.Context(), tt.method, tt.path, "")
			if tt.version != "" {
				r.Header.Set("anthropic-version", tt.version)
			}
			resp := open(t, tr, r)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", resp.StatusCode, tt.status)
			}
			if got := gjson.GetBytes(body, tt.key).String(); got != tt.want {
				t.Errorf("%s: got %q, want %q in %s", tt.key, got, tt.want, body)
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	resp, body := send(t, &Transport{}, "HEAD", "/v1/models", "")
	if resp.StatusCode != 200 || body != "" || resp.ContentLength == 0 {
		t.Errorf("got status %d, length %d, body %q; want 200, a length, no body", resp.StatusCode, resp.ContentLength, body)
	}
}

func TestRefusedRequests(t *testing.T) {
	tests := []struct {
		name, path, body string
		status           int
		key, want        string
	}{
		{"no body", "/v1/chat/completions", "", 400, "error.type", "invalid_request_error"},
		{"not JSON", "/v1/chat/completions", `{"model":`, 400, "error.type", "invalid_request_error"},
		{"not an object", "/v1/chat/completions", `["model"]`, 400, "error.type", "invalid_request_error"},
		{"no model", "/v1/chat/completions", `{"messages":[]}`, 400, "error.param", "model"},
		{"model not a string", "/v1/chat/completions", `{"model":1}`, 400, "error.param", "model"},
		{"model too long", "/v1/chat/completions", `{"model":"` + strings.Repeat("x", 257) + `"}`, 400, "error.param", "model"},
		{"nested deeply", "/v1/chat/completions", `{"model":"m","messages":` + strings.Repeat("[", 1<<20), 400, "error.type", "invalid_request_error"},
		{"anthropic dialect", "/v1/messages", `{}`, 400, "type", "error"},
		{"no input", "/v1/embeddings", `{"model":"m"}`, 400, "error.param", "input"},
		{"input is an object", "/v1/embeddings", `{"model":"m","input":{}}`, 400, "error.param", "input"},
		{"too many inputs", "/v1/embeddings", `{"model":"m","input":["a"` + strings.Repeat(`,"a"`, 2048) + `]}`, 400, "error.param", "input"},
		{"too many dimensions", "/v1/embeddings", `{"model":"m","input":"a","dimensions":1e9}`, 400, "error.param", "dimensions"},
		{"dimensions not a number", "/v1/embeddings", `{"model":"m","input":"a","dimensions":"8"}`, 400, "error.param", "dimensions"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := send(t, &Transport{}, "POST", tt.path, tt.body)
			if resp.StatusCode != tt.status {
				t.Errorf("got status %d, want %d", resp.StatusCode, tt.status)
			}
			if got := gjson.Get(body, tt.key).String(); got != tt.want {
				t.Errorf("%s: got %q, want %q in %.300s", tt.key, got, tt.want, body)
			}
		})
	}
}

func TestTooLargeBodyIsRefused(t *testing.T) {
	r := newRequest(t.Context(), "POST", "/v1/chat/completions", "")
	r.Body = io.NopCloser(io.LimitReader(zeros{}, maxBody+2))
	resp := open(t, &Transport{}, r)
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got status %d, want 413", resp.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// closeRecorder knows whether it was closed.
type closeRecorder struct {
	io.Reader
	closed bool
}

func (c *closeRecorder) Close() error { c.closed = true; return nil }

func TestRequestBodyIsAlwaysClosed(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name, method, path string
		ctx                context.Context
		tr                 *Transport
	}{
		{"answer", "POST", "/v1/chat/completions", context.Background(), &Transport{}},
		{"GET", "GET", "/v1/models", context.Background(), &Transport{}},
		{"unknown path", "POST", "/x", context.Background(), &Transport{}},
		{"other method", "PUT", "/x", context.Background(), &Transport{}},
		{"canceled", "POST", "/v1/chat/completions", canceled, &Transport{}},
		{
			"connection failure", "POST", "/v1/chat/completions", context.Background(),
			&Transport{Error: &Failure{Status: 502, Class: "connection"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := &closeRecorder{Reader: strings.NewReader(`{"model":"m"}`)}
			r := newRequest(tt.ctx, tt.method, tt.path, "")
			r.Body = body
			if resp, err := tt.tr.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
			if !body.closed {
				t.Error("the request body is still open")
			}
		})
	}
}

func TestBrokenRequestBodyIsAnError(t *testing.T) {
	r := newRequest(t.Context(), "POST", "/v1/chat/completions", "")
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader([]byte("{")), brokenReader{}))
	if _, err := (&Transport{}).RoundTrip(r); err != io.ErrUnexpectedEOF {
		t.Errorf("got error %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
