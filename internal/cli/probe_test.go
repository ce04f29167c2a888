package cli

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestChatURL(t *testing.T) {
	tests := []struct{ address, want string }{
		{":8080", "http://localhost:8080/v1/chat/completions"},
		{"localhost:8080", "http://localhost:8080/v1/chat/completions"},
		{"127.0.0.1:8080/", "http://127.0.0.1:8080/v1/chat/completions"},
		{"[::1]:8080", "http://[::1]:8080/v1/chat/completions"},
		{"http://gw", "http://gw/v1/chat/completions"},
		{"https://gw.example.com/v1", "https://gw.example.com/v1/chat/completions"},
		{"https://gw.example.com/v1/", "https://gw.example.com/v1/chat/completions"},
		{"https://gw.example.com/openai", "https://gw.example.com/openai/v1/chat/completions"},
		{"https://gw.example.com/openai/v1/chat/completions", "https://gw.example.com/openai/v1/chat/completions"},
		{"https://gw.example.com/v1?region=eu", "https://gw.example.com/v1/chat/completions?region=eu"},
	}
	for _, tt := range tests {
		if got, err := chatURL(tt.address); err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.address, got, err, tt.want)
		}
	}
	for _, address := range []string{"", "ftp://host", "http://", "http://%zz", "http://host:port"} {
		if got, err := chatURL(address); err == nil {
			t.Errorf("%q: got %q, want an error", address, got)
		}
	}
}

// answering makes a prober of a server that answers as told.
func answering(t *testing.T, handler http.HandlerFunc) *prober {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	p, err := newProber(server.URL, "m")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.CloseIdleConnections)
	p.timeout = 10 * time.Second
	return p
}

const (
	goodAnswer = `{"model":"m-2026","choices":[{"message":{"content":"hello"}}]}`
	textChunk  = `data: {"model":"m-2026","choices":[{"index":0,"delta":{"content":"hello"}}]}` + "\n\n"
	roleChunk  = `data: {"model":"m-2026","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	lastChunk  = `data: {"model":"m-2026","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	doneEvent  = "data: [DONE]\n\n"
)

func TestProbeJudgesAnswers(t *testing.T) {
	const jsonType, streamType = "application/json", "text/event-stream"
	tests := []struct {
		name, contentType string
		status            int
		body              string
		wantErr           string // empty: served
		wantModel         string
	}{
		{"a whole answer", jsonType, 200, goodAnswer, "", "m-2026"},
		{"an error in OpenAI's format", jsonType, 429, `{"error":{"message":"Slow down."}}`, "Slow down.", ""},
		{"an error that is a text", jsonType, 500, `{"error":"out of memory"}`, "out of memory", ""},
		{"an error in FastAPI's format", jsonType, 404, `{"detail":"Not Found"}`, "Not Found", ""},
		{"an error page", "text/html", 502, `<html>oops</html>`, "Bad Gateway", ""},
		{"an error without words", jsonType, 599, ``, "status 599", ""},
		{"an error that would move the cursor", jsonType, 500, `{"error":{"message":"a\u001b[2Jb\nc"}}`, "a[2Jb c", ""},
		{"success with an error inside", jsonType, 200, `{"error":{"message":"no GPU"}}`, "no GPU", ""},
		{"success without choices", jsonType, 200, `{"model":"m","choices":[]}`, "the answer has no choices", "m"},
		{"success that is not JSON", "text/html", 200, `<html>welcome</html>`, "the answer is not JSON", ""},
		{"success that is empty", jsonType, 200, ``, "the answer is not JSON", ""},
		{"more than is read", jsonType, 200, strings.Repeat(" ", maxAnswer+1), "the answer is larger than 4194304 bytes", ""},
		{"a stream", streamType, 200, roleChunk + textChunk + lastChunk + doneEvent, "", "m-2026"},
		{"a stream without [DONE]", streamType + "; charset=utf-8", 200, textChunk + lastChunk, "", "m-2026"},
		{"a stream that stops", streamType, 200, roleChunk + textChunk, "the stream stopped before its end", "m-2026"},
		{"a stream without content", streamType, 200, roleChunk + lastChunk + doneEvent, "the stream had no content", "m-2026"},
		{"an empty stream", streamType, 200, "", "the stream stopped before its end", ""},
		{
			"a stream that ends with an error", streamType, 200,
			textChunk + `data: {"error":{"message":"gone"}}` + "\n\n", "gone", "m-2026",
		},
		{
			"a stream that ends with an error without words", streamType, 200,
			textChunk + `data: {"error":{"code":500}}` + "\n\n", "the stream ended with an error", "m-2026",
		},
		{
			"a stream larger than is read", streamType, 200,
			strings.Repeat(textChunk, maxAnswer/len(textChunk)+2), "the answer is larger than 4194304 bytes", "m-2026",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			r := p.probe(t.Context())
			if r.Err != tt.wantErr || r.Status != tt.status || r.Model != tt.wantModel {
				t.Errorf("got error %q, status %d, model %q; want %q, %d, %q",
					r.Err, r.Status, r.Model, tt.wantErr, tt.status, tt.wantModel)
			}
			if r.Latency <= 0 || r.FirstToken > r.Latency {
				t.Errorf("got latency %v and first token %v, want one after the other", r.Latency, r.FirstToken)
			}
		})
	}
}

func TestProbeReadsTheRoutersHeaders(t *testing.T) {
	tests := []struct {
		name                string
		header              map[string]string
		pool, deployment    string
		attempts, fallbacks string
	}{
		{
			"all",
			map[string]string{"X-LLM-Pool": "p", "X-LLM-Deployment": "d", "X-LLM-Attempts": "2", "X-LLM-Fallbacks": "1"},
			"p", "d", "2", "1",
		},
		{"none", nil, "", "", "-", "-"},
		{
			"nonsense",
			map[string]string{"X-LLM-Pool": strings.Repeat("p", 100), "X-LLM-Attempts": "many", "X-LLM-Fallbacks": "-1"},
			strings.Repeat("p", maxName-3) + "...", "", "-", "-",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range tt.header {
					w.Header().Set(name, value)
				}
				io.WriteString(w, goodAnswer)
			})
			r := p.probe(t.Context())
			if r.Pool != tt.pool || r.Deployment != tt.deployment || count(r.Attempts) != tt.attempts || count(r.Fallbacks) != tt.fallbacks {
				t.Errorf("got %q %q %s %s, want %q %q %s %s", r.Pool, r.Deployment, count(r.Attempts), count(r.Fallbacks),
					tt.pool, tt.deployment, tt.attempts, tt.fallbacks)
			}
		})
	}
}

func TestProbeAsksForLittle(t *testing.T) {
	for _, stream := range []bool{false, true} {
		var got gjson.Result
		var key, path string
		p := answering(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got, key, path = gjson.ParseBytes(body), r.Header.Get("Authorization"), r.URL.Path
			io.WriteString(w, goodAnswer)
		})
		p.stream, p.key = stream, "secret"
		if r := p.probe(t.Context()); !r.ok() {
			t.Fatal(r.Err)
		}
		if got.Get("model").String() != "m" || got.Get("stream").Bool() != stream || got.Get("max_tokens").Int() != maxProbeTokens {
			t.Errorf("got body %s", got.Raw)
		}
		if key != "Bearer secret" || path != "/v1/chat/completions" {
			t.Errorf("got key %q on %s", key, path)
		}
	}
}

func TestProbeMeasuresTheFirstToken(t *testing.T) {
	const pause = 50 * time.Millisecond
	p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range []string{": alive\n\n", roleChunk, textChunk, lastChunk + doneEvent} {
			io.WriteString(w, event)
			w.(http.Flusher).Flush()
			time.Sleep(pause)
		}
	})
	r := p.probe(t.Context())
	if !r.ok() || r.FirstToken < 2*pause || r.Latency <= r.FirstToken {
		t.Errorf("got %q, first token after %v of %v; want it after %v, and an end later", r.Err, r.FirstToken, r.Latency, 2*pause)
	}
}

func TestProbeEndsInTime(t *testing.T) {
	for _, headers := range []bool{false, true} {
		p := answering(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // or the server does not see that the client is gone
			if headers {
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		})
		p.timeout = 50 * time.Millisecond
		if r := p.probe(t.Context()); r.Err != "no answer within 50ms" {
			t.Errorf("headers %v: got %q, want that the time is up", headers, r.Err)
		}
	}
}

func TestProbeFollowsNoRedirect(t *testing.T) {
	reached := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer elsewhere.Close()
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	p.key = "secret"
	if r := p.probe(t.Context()); r.Status != http.StatusTemporaryRedirect || r.Err != "Temporary Redirect" || reached {
		t.Errorf("got status %d, %q, other server reached: %v", r.Status, r.Err, reached)
	}
}

func TestProbeWithoutAServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	p, err := newProber(server.URL, "m")
	if err != nil {
		t.Fatal(err)
	}
	r := p.probe(t.Context())
	if r.Status != 0 || !strings.Contains(r.Err, "refused") || strings.Contains(r.Err, "chat/completions") {
		t.Errorf("got status %d, %q; want a refused connection, without the URL", r.Status, r.Err)
	}
}

// The key does not come back in an error, not even one that is no header value.
func TestProbeKeepsTheKey(t *testing.T) {
	p := answering(t, func(http.ResponseWriter, *http.Request) {})
	p.key = "sec\nret"
	if r := p.probe(t.Context()); r.ok() || strings.Contains(r.Err, "sec") {
		t.Errorf("got %q, want an error without the key", r.Err)
	}
}

func TestProbeCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if r := p.probe(ctx); r.ok() || r.Latency > 5*time.Second {
		t.Errorf("got %q after %v, want an error at once", r.Err, r.Latency)
	}
}
