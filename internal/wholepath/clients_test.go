package wholepath

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// The official OpenAI client against the router: what a program sees that knows
// nothing of it.

// countingTransport counts the requests that a client makes, its retries
// included.
type countingTransport struct {
	http.RoundTripper
	requests atomic.Int64
}

func (c *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

func openAIClient(s *caddyharness.Server, retries int, opts ...option.RequestOption) (openai.Client, *countingTransport) {
	transport := &countingTransport{RoundTripper: s.Client().Transport}
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(s.URL("/v1/")), option.WithHTTPClient(&http.Client{Transport: transport}),
		option.WithAPIKey("sk-client"), option.WithMaxRetries(retries),
	}, opts...)...), transport
}

func chatOf(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")},
	}
}

// streamedText reads a stream to its end.
func streamedText(ctx context.Context, client openai.Client, params openai.ChatCompletionNewParams) (text, finish string, usage int64, err error) {
	stream := client.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	for stream.Next() {
		chunk := stream.Current()
		usage = max(usage, chunk.Usage.TotalTokens)
		for _, choice := range chunk.Choices {
			text += choice.Delta.Content
			if choice.FinishReason != "" {
				finish = choice.FinishReason
			}
		}
	}
	return text, finish, usage, stream.Err()
}

func mockRouter(t testing.TB) *caddyharness.Server {
	return routerWith(t, `
		pool gpt-4o chatgpt {
			deployment d {
				transport llm_mock {
					response "Hello from the mock."
				}
			}
		}
		pool org/embed {
			deployment d {
				transport llm_mock
			}
		}
		pool hidden-* {
			deployment d {
				transport llm_mock
			}
		}
	`)
}

func TestOpenAIClient(t *testing.T) {
	client, _ := openAIClient(mockRouter(t), 0)
	t.Run("chat", func(t *testing.T) {
		var resp *http.Response
		answer, err := client.Chat.Completions.New(t.Context(), chatOf("chatgpt"), option.WithResponseInto(&resp))
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Choices) != 1 || answer.Choices[0].Message.Content != "Hello from the mock." || answer.Choices[0].FinishReason != "stop" || answer.Usage.TotalTokens == 0 {
			t.Errorf("got %s, want the mock's answer, finished and counted", answer.RawJSON())
		}
		if got := resp.Header.Get("X-LLM-Deployment"); got != "d" {
			t.Errorf("got deployment %q, want d", got)
		}
	})
	t.Run("streaming chat", func(t *testing.T) {
		params := chatOf("gpt-4o")
		params.StreamOptions.IncludeUsage = openai.Bool(true)
		text, finish, usage, err := streamedText(t.Context(), client, params)
		if err != nil || text != "Hello from the mock." || finish != "stop" || usage == 0 {
			t.Errorf("got %q, finish %q, %d tokens, error %v; want the mock's answer, finished and counted", text, finish, usage, err)
		}
	})
	t.Run("embeddings", func(t *testing.T) {
		answer, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
			Model: "org/embed", Dimensions: openai.Int(4),
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two"}},
		})
		if err != nil || len(answer.Data) != 2 || len(answer.Data[1].Embedding) != 4 || answer.Data[1].Index != 1 {
			t.Errorf("got %+v, %v; want two vectors of four numbers", answer, err)
		}
	})
	t.Run("models", func(t *testing.T) {
		var ids []string
		pager := client.Models.ListAutoPaging(t.Context())
		for pager.Next() {
			ids = append(ids, pager.Current().ID)
		}
		if want := []string{"gpt-4o", "chatgpt", "org/embed"}; pager.Err() != nil || !slices.Equal(ids, want) {
			t.Errorf("got %v, %v; want %v", ids, pager.Err(), want)
		}
		for _, id := range ids {
			model, err := client.Models.Get(t.Context(), id)
			if err != nil || model.ID != id || model.Created == 0 {
				t.Errorf("got %+v, %v; want the model %s", model, err, id)
			}
		}
	})
}

func TestOpenAIClientSeesTypedErrors(t *testing.T) {
	u := scripted.New(t)
	s := routerWith(t, "retries 0\ncooldown off\n"+alone(u, ""))
	client, requests := openAIClient(s, 0)
	for _, tt := range []struct {
		name     string
		step     scripted.Step
		model    string
		status   int
		code     string
		upstream int
	}{
		{"400", scripted.Error(400, "invalid_request_error", "unknown_parameter", "Unknown parameter: 'x'."), "p", 400, "unknown_parameter", 1},
		{"400 of the router", nil, "", 400, "missing_required_parameter", 0},
		{"401", scripted.Error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."), "p", 401, "invalid_api_key", 1},
		{"404", scripted.Error(404, "invalid_request_error", "model_not_found", "The model `p` does not exist."), "p", 404, "model_not_found", 1},
		{"404 of the router", nil, "nope", 404, "model_not_found", 0},
		{"429", scripted.Error(429, "requests", "rate_limit_exceeded", "Rate limit reached."), "p", 429, "rate_limit_exceeded", 1},
		{"500", scripted.Error(500, "server_error", "", "The server had an error."), "p", 500, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for kind, call := range map[string]func() error{
				"whole":    func() error { _, err := client.Chat.Completions.New(t.Context(), chatOf(tt.model)); return err },
				"streamed": func() error { _, _, _, err := streamedText(t.Context(), client, chatOf(tt.model)); return err },
			} {
				if tt.step != nil {
					u.Always(tt.step)
				}
				before, asked := u.Count(), requests.requests.Load()
				err := call()
				var failure *openai.Error
				if !errors.As(err, &failure) {
					t.Fatalf("%s: got %v, want an error of the API", kind, err)
				}
				if failure.StatusCode != tt.status || failure.Code != tt.code || failure.Message == "" || failure.Type == "" {
					t.Errorf("%s: got %d %s, want %d with code %q, a type and a message", kind, failure.StatusCode, failure.RawJSON(), tt.status, tt.code)
				}
				counts(t, "a", u, before+tt.upstream)
				if n := requests.requests.Load() - asked; n != 1 {
					t.Errorf("%s: got %d requests of the client, want 1", kind, n)
				}
			}
		})
	}
}

// Whatever the first deployment does, the client has its answer and never learns
// of it.
func TestOpenAIClientDoesNotSeeFailuresOfTheFirstDeployment(t *testing.T) {
	for name, failing := range map[string]string{
		"half of the time":      "error 503 overloaded\nfail_rate 50%",
		"always overloaded":     "error 503 overloaded",
		"always rate limited":   "error 429 rate_limit",
		"always out of quota":   "error 429 quota",
		"always refusing":       "error 500 connection",
		"never finding it":      "error 404 not_found",
		"never with a good key": "error 401 auth",
		"always with a mistake": "error 500 server_error",
	} {
		t.Run(name, func(t *testing.T) {
			s := routerWith(t, fmt.Sprintf(`
				retries 0
				pool p {
					deployment first {
						api_key sk-first
						transport llm_mock {
							%s
						}
					}
					deployment second {
						order 2
						transport llm_mock {
							response "Hello from the second."
						}
					}
				}
			`, failing))
			client, requests := openAIClient(s, 0)
			const n = 20
			for range n / 2 {
				answer, err := client.Chat.Completions.New(t.Context(), chatOf("p"))
				if err != nil || answer.Choices[0].Message.Content == "" {
					t.Fatalf("got %v, want an answer", err)
				}
				text, finish, _, err := streamedText(t.Context(), client, chatOf("p"))
				if err != nil || text == "" || finish != "stop" {
					t.Fatalf("got %q, finish %q, error %v; want a whole stream", text, finish, err)
				}
			}
			if got := requests.requests.Load(); got != n {
				t.Errorf("got %d requests of the client, want %d", got, n)
			}
		})
	}
}

func TestOpenAIClientCancelsAStream(t *testing.T) {
	u := scripted.New(t).Always(scripted.StallAfter(scripted.ChatEvents("m", "one ", "two")[:2]...))
	s := routerWith(t, alone(u, ""))
	client, _ := openAIClient(s, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := client.Chat.Completions.NewStreaming(ctx, chatOf("p"))
	defer stream.Close()
	var text string
	for text == "" && stream.Next() {
		for _, choice := range stream.Current().Choices {
			text += choice.Delta.Content
		}
	}
	if text != "one " {
		t.Fatalf("got %q, %v before leaving; want the first word", text, stream.Err())
	}
	cancel()
	u.WaitCanceled(t, 1)
	if stream.Next() || !errors.Is(stream.Err(), context.Canceled) {
		t.Errorf("got %v after leaving, want %v", stream.Err(), context.Canceled)
	}
	counts(t, "a", u, 1)
	eventually(t, "the deployment to be free", 5*time.Second, func() bool {
		u.Always(scripted.OK("after"))
		g, err := tryAsk(t.Context(), s, chatPath, plain)
		return err == nil && g.status == http.StatusOK
	})
	for _, e := range s.Logs() {
		if strings.Contains(e.Msg, "failed") || strings.Contains(e.Msg, "cools") {
			t.Errorf("got the log line %s, want a client that leaves to be nobody's failure", e.Raw)
		}
	}
}

// The client retries as the router tells it to, and the router does not retry on
// top of a client's retry.
func TestRetriesAreNotMultiplied(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := make(http.Header)
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const body = `{"error":{"message":"%s","type":"%s","param":null,"code":%s}}`
	for _, tt := range []struct {
		name, policy     string
		step             scripted.Step
		client, upstream int // requests of the client, attempts of the router
	}{
		// Once with the router's two retries, and twice without.
		{"server error", "", scripted.Error(500, "server_error", "", "oops"), 3, 3 + 1 + 1},
		{"server error without retries", "retries 0", scripted.Error(500, "server_error", "", "oops"), 3, 3},
		{"overloaded", "", scripted.Error(503, "server_error", "", "overloaded"), 3, 3 + 1 + 1},
		{"rate limit with a wait", "", scripted.Reply(429, header("Retry-After-Ms", "20"), fmt.Sprintf(body, "Rate limit reached.", "requests", `"rate_limit_exceeded"`)), 3, 3 + 1 + 1},
		{"quota", "", scripted.Error(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."), 1, 1},
		{"bad request", "", scripted.Error(400, "invalid_request_error", "unknown_parameter", "no"), 1, 1},
		{"context window", "", scripted.Error(400, "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 8 tokens."), 1, 1},
		{"client's key", "", scripted.Error(401, "invalid_request_error", "invalid_api_key", "no"), 1, 1},
		{"upstream that asks for retries of the useless", "", scripted.Reply(400, header("X-Should-Retry", "true"), fmt.Sprintf(body, "no", "invalid_request_error", `"unknown_parameter"`)), 1, 1},
		{"fallback that is good", "default_fallback q", scripted.Error(500, "server_error", "", "oops"), 1, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := scripted.New(t).Always(tt.step)
			good := scripted.New(t)
			policy := tt.policy
			if !strings.Contains(policy, "retries") {
				policy += "\nretries 2 {\n\tbackoff 1ms 2ms\n\tbudget 100% 100\n}\n"
			}
			s := routerWith(t, alone(u, policy)+"pool q {\n\tdeployment good "+good.URL+"\n}\n")
			client, requests := openAIClient(s, 2, option.WithMaxRetryDelay(1500*time.Millisecond))
			_, err := client.Chat.Completions.New(t.Context(), chatOf("p"))
			if fallback := good.Count() > 0; (err == nil) != fallback {
				t.Errorf("got error %v with fallback %t", err, fallback)
			}
			if got := int(requests.requests.Load()); got != tt.client {
				t.Errorf("got %d requests of the client, want %d", got, tt.client)
			}
			counts(t, "a", u, tt.upstream)
		})
	}
}

// A pool that is cooling says how long, and the client comes back then.
func TestOpenAIClientWaitsForRetryAfter(t *testing.T) {
	limited := scripted.Reply(429, http.Header{"Retry-After": {"1"}}, `{"error":{"message":"Rate limit reached.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
	u := scripted.New(t).Then(limited)
	s := routerWith(t, alone(u, "retries 0"))
	client, requests := openAIClient(s, 2)
	start := time.Now()
	if _, err := client.Chat.Completions.New(t.Context(), chatOf("p")); err != nil {
		t.Errorf("got %v, want an answer after the wait", err)
	}
	if took := time.Since(start); took < 900*time.Millisecond || took > 10*time.Second {
		t.Errorf("got the answer after %v, want it after the second that the upstream asked for", took)
	}
	if got := requests.requests.Load(); got != 2 {
		t.Errorf("got %d requests of the client, want 2", got)
	}
	counts(t, "a", u, 2)
}
