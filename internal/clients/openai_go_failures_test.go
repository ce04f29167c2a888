package clients

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// How the official OpenAI client for Go takes what goes wrong.

// seen is a request that a client has made, a retry of its own included.
type seen struct {
	at       time.Time
	attempts string // of the router, as its answer says
}

// watched keeps what came of each request.
type watched struct {
	http.RoundTripper
	all []seen
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	at := time.Now()
	resp, err := w.RoundTripper.RoundTrip(r)
	if resp != nil {
		w.all = append(w.all, seen{at, resp.Header.Get("X-LLM-Attempts")})
	}
	return resp, err
}

func (g goClient) abort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := g.Chat.Completions.NewStreaming(ctx, chatOf("endless"))
	defer stream.Close()
	var text string
	for text == "" && stream.Next() {
		text += stream.Current().Choices[0].Delta.Content
	}
	equal(t, "text before leaving", text, tokens(greeting)[0])
	cancel()
	if stream.Next() || !errors.Is(stream.Err(), context.Canceled) {
		t.Errorf("got %v after leaving, want %v", stream.Err(), context.Canceled)
	}
}

func (g goClient) cut(t *testing.T) {
	all, err := g.stream(t.Context(), chatOf("cut"))
	if err == nil || !strings.Contains(err.Error(), "lost before its answer was complete") {
		t.Errorf("got %v and error %v, want one that says that the stream is cut", all.Choices, err)
	}
}

func (g goClient) resumed(t *testing.T) {
	all, err := g.stream(t.Context(), chatOf("resumed"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "text", all.Choices[0].Message.Content, greeting)
}

func (g goClient) errors(t *testing.T) {
	for _, tt := range []struct {
		model  string
		status int
		code   string
	}{
		{"answers-400", 400, "unknown_parameter"},
		{"answers-403", 403, "forbidden"},
		{"answers-404", 404, "model_not_found"},
		{"answers-422", 422, "invalid_value"},
		{"answers-429", 429, "rate_limit_exceeded"},
		{"answers-500", 500, "internal_error"},
		{"nobody-knows-it", 404, "model_not_found"},
		{"", 400, "missing_required_parameter"},
	} {
		_, whole := g.Chat.Completions.New(t.Context(), chatOf(tt.model))
		_, streamed := g.stream(t.Context(), chatOf(tt.model))
		for kind, err := range map[string]error{"whole": whole, "streamed": streamed} {
			failure, ok := errors.AsType[*openai.Error](err)
			if !ok {
				t.Errorf("%q, %s: got %v, want an error of the API", tt.model, kind, err)
				continue
			}
			if failure.StatusCode != tt.status || failure.Code != tt.code || failure.Message == "" || failure.Type == "" {
				t.Errorf("%q, %s: got %d %s, want %d with code %q, a type and a message", tt.model, kind, failure.StatusCode, failure.RawJSON(), tt.status, tt.code)
			}
			if tt.status == http.StatusTooManyRequests {
				equal(t, "Retry-After", failure.Response.Header.Get("Retry-After"), "7")
				equal(t, "requests left", failure.Response.Header.Get("X-Ratelimit-Remaining-Requests"), "0")
			}
		}
	}
}

func (g goClient) ownKey(t *testing.T) {
	equal(t, "text", g.complete(t, chatOf("own-key")).Message.Content, greeting)
	client, w := openAI(g.r.Server, 2, option.WithAPIKey("sk-wrong"))
	_, err := client.Chat.Completions.New(t.Context(), chatOf("own-key"))
	if failure, ok := errors.AsType[*openai.Error](err); !ok || failure.Code != "invalid_api_key" || failure.StatusCode != 401 {
		t.Errorf("got %v, want that the key is wrong", err)
	}
	equal(t, "requests of the client", len(w.all), 1)
}

func (g goClient) retries(t *testing.T) {
	client, w := openAI(g.r.Server, 2)
	if _, err := client.Chat.Completions.New(t.Context(), chatOf("down")); err == nil {
		t.Error("got an answer, want an error")
	}
	var attempts []string
	for _, s := range w.all {
		attempts = append(attempts, s.attempts)
	}
	equal(t, "attempts", attempts, []string{"3", "1", "1"}) // the router's own two come with the first
}

func (g goClient) badRequests(t *testing.T) {
	g.fails(t, "answers-400")
	g.fails(t, "nobody-knows-it")
}

func (g goClient) noQuota(t *testing.T) { g.fails(t, "answers-quota") }

// fails checks that a client that would retry asks once.
func (g goClient) fails(t *testing.T, model string) {
	t.Helper()
	client, w := openAI(g.r.Server, 2)
	if _, err := client.Chat.Completions.New(t.Context(), chatOf(model)); err == nil {
		t.Error("got an answer, want an error")
	}
	equal(t, "requests of the client", len(w.all), 1)
}

func (g goClient) retryAfter(t *testing.T) {
	client, w := openAI(g.r.Server, 2)
	answer, err := client.Chat.Completions.New(t.Context(), chatOf("limited"))
	if err != nil || len(w.all) != 2 {
		t.Fatalf("got %v after %d requests, want an answer after 2", err, len(w.all))
	}
	equal(t, "text", answer.Choices[0].Message.Content, greeting)
	if gap := w.all[1].at.Sub(w.all[0].at); gap < 950*time.Millisecond {
		t.Errorf("asked again after %v, want the second that it was told", gap)
	}
}

// The first deployment hangs. The client has its answer from the second within
// the time that it has for both.
func (g goClient) timeLimit(t *testing.T) {
	client, w := openAI(g.r.Server, 0, option.WithRequestTimeout(2*time.Second))
	answer, err := client.Chat.Completions.New(t.Context(), chatOf("slow"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "text", answer.Choices[0].Message.Content, greeting)
	equal(t, "attempts", w.all[0].attempts, "2")
}
