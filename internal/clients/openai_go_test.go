package clients

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// The official OpenAI client for Go.

func openAI(s *caddyharness.Server, retries int, opts ...option.RequestOption) (openai.Client, *watched) {
	w := &watched{RoundTripper: s.Client().Transport}
	return openai.NewClient(append([]option.RequestOption{
		option.WithBaseURL(s.URL("/v1/")), option.WithHTTPClient(&http.Client{Transport: w}),
		option.WithAPIKey(keyOfClient), option.WithMaxRetries(retries),
	}, opts...)...), w
}

func chatOf(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")},
	}
}

// schema is what the structured answer follows, and tool what the arguments do.
var (
	schema = map[string]any{"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}}
	tool   = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "forecast", Parameters: schema})}
)

// always makes a case of something that has to hold however the first deployment
// fails.
func always(try func(t *testing.T)) func(*testing.T) {
	return func(t *testing.T) {
		for range turns {
			try(t)
		}
	}
}

func goCases(r *router) cases {
	g := goClient{r: r}
	g.Client, _ = openAI(r.Server, 0)
	return cases{
		"chat":                     always(g.chat),
		"streaming":                always(g.streaming),
		"tool calls":               always(g.toolCalls),
		"tool calls, streamed":     always(g.streamedToolCalls),
		"structured output":        always(g.structured),
		"image input":              always(g.image),
		"Responses API":            always(g.responses),
		"embeddings":               always(g.embeddings),
		"file upload":              always(g.upload),
		"list of models":           g.models,
		"abort in mid-stream":      g.abort,
		"cut stream":               g.cut,
		"resumed stream":           g.resumed,
		"typed errors":             g.errors,
		"the client's own key":     g.ownKey,
		"retries not multiplied":   g.retries,
		"bad requests not retried": g.badRequests,
		"no quota, no retries":     g.noQuota,
		"Retry-After waited for":   g.retryAfter,
		"time limit kept":          g.timeLimit,
	}
}

type goClient struct {
	openai.Client
	r *router
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (g goClient) complete(t *testing.T, params openai.ChatCompletionNewParams) openai.ChatCompletionChoice {
	t.Helper()
	answer, err := g.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Choices) != 1 || answer.Usage.TotalTokens != 8 {
		t.Fatalf("got %s, want a choice and its tokens", answer.RawJSON())
	}
	return answer.Choices[0]
}

// stream reads a stream to its end.
func (g goClient) stream(ctx context.Context, params openai.ChatCompletionNewParams) (openai.ChatCompletionAccumulator, error) {
	var all openai.ChatCompletionAccumulator
	stream := g.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	for stream.Next() {
		all.AddChunk(stream.Current())
	}
	return all, stream.Err()
}

func (g goClient) chat(t *testing.T) {
	choice := g.complete(t, chatOf("chatgpt"))
	equal(t, "text", choice.Message.Content, greeting)
	equal(t, "finish", choice.FinishReason, "stop")
}

func (g goClient) streaming(t *testing.T) {
	params := chatOf("gpt-4o")
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	all, err := g.stream(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "text", all.Choices[0].Message.Content, greeting)
	equal(t, "finish", all.Choices[0].FinishReason, "stop")
	equal(t, "tokens", all.Usage.TotalTokens, int64(8))
}

func (g goClient) toolCalls(t *testing.T) {
	params := chatOf("gpt-4o")
	params.Tools = tool
	choice := g.complete(t, params)
	if len(choice.Message.ToolCalls) != 1 {
		t.Fatalf("got %s, want a call", choice.RawJSON())
	}
	call := choice.Message.ToolCalls[0]
	equal(t, "tool", call.Function.Name, "forecast")
	equal(t, "arguments", call.Function.Arguments, arguments)
	params.Messages = append(params.Messages, choice.Message.ToParam(), openai.ToolMessage("snow", call.ID))
	equal(t, "text after the call", g.complete(t, params).Message.Content, "The tool says: snow")
}

func (g goClient) streamedToolCalls(t *testing.T) {
	params := chatOf("gpt-4o")
	params.Tools = tool
	all, err := g.stream(t.Context(), params)
	if err != nil || len(all.Choices[0].Message.ToolCalls) != 1 {
		t.Fatalf("got %v, %v; want a call", all.Choices, err)
	}
	equal(t, "arguments", all.Choices[0].Message.ToolCalls[0].Function.Arguments, arguments)
}

func (g goClient) structured(t *testing.T) {
	params := chatOf("gpt-4o")
	params.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "forecast", Schema: schema, Strict: openai.Bool(true)},
	}
	var got struct {
		City    string
		Degrees int
	}
	if err := json.Unmarshal([]byte(g.complete(t, params).Message.Content), &got); err != nil {
		t.Fatal(err)
	}
	if got.City != "Tromsø" || got.Degrees != -4 {
		t.Errorf("got %+v, want %s", got, structured)
	}
}

// content is bytes for files and images, of all values.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31)
	}
	return b
}

func (g goClient) image(t *testing.T) {
	picture := content(100_000)
	params := chatOf("gpt-4o")
	params.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.TextContentPart("What is this?"),
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{
			URL: "data:image/png;base64," + base64.StdEncoding.EncodeToString(picture),
		}),
	})}
	equal(t, "text", g.complete(t, params).Message.Content, fingerprint(picture))
}

func (g goClient) responses(t *testing.T) {
	params := responses.ResponseNewParams{Model: "gpt-4o", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Hi")}}
	answer, err := g.Responses.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "text", answer.OutputText(), greeting)
	equal(t, "tokens", answer.Usage.TotalTokens, int64(8))
	var text, end string
	stream := g.Responses.NewStreaming(t.Context(), params)
	defer stream.Close()
	for stream.Next() {
		switch event := stream.Current().AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			text += event.Delta
		case responses.ResponseCompletedEvent:
			end = event.Response.OutputText()
		}
	}
	if stream.Err() != nil || text != greeting || end != greeting {
		t.Errorf("got %q, at the end %q, error %v; want the greeting twice", text, end, stream.Err())
	}
}

func (g goClient) embeddings(t *testing.T) {
	answer, err := g.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "org/embed",
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "three"}},
	})
	if err != nil || len(answer.Data) != 2 {
		t.Fatalf("got %+v, %v; want two vectors", answer, err)
	}
	equal(t, "first", answer.Data[0].Embedding, []float64{3, 0, 0.5, -0.25})
	equal(t, "second", answer.Data[1].Embedding, []float64{5, 1, 0.5, -0.25})
}

func (g goClient) upload(t *testing.T) {
	audio := content(200_000)
	answer, err := g.Audio.Transcriptions.New(t.Context(), openai.AudioTranscriptionNewParams{
		Model: "gpt-4o", Language: openai.String("no"),
		File: openai.File(io.NopCloser(bytes.NewReader(audio)), "speech.wav", "audio/wav"),
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "text", answer.Text, "speech.wav in no: "+fingerprint(audio))
}

func (g goClient) models(t *testing.T) {
	var ids []string
	pager := g.Models.ListAutoPaging(t.Context())
	for pager.Next() {
		ids = append(ids, pager.Current().ID)
	}
	want := []string{"gpt-4o", "chatgpt", "claude", "org/embed", "endless", "cut", "resumed", "own-key", "slow", "down", "limited"}
	if pager.Err() != nil || !slices.Equal(ids, want) {
		t.Errorf("got %v, %v; want %v", ids, pager.Err(), want)
	}
	for _, id := range ids {
		model, err := g.Models.Get(t.Context(), id)
		if err != nil || model.ID != id || model.Created == 0 {
			t.Errorf("got %+v, %v; want the model %s", model, err, id)
		}
	}
}
