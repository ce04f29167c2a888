package wholepath

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// embeds answers each input with the length of its text, and says that each of its
// bytes is a token. It tells what it was asked for.
func embeds(asked *[][]string) scripted.Step {
	return func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Input any }
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &q)
		var inputs []string
		switch in := q.Input.(type) {
		case string:
			inputs = []string{in}
		case []any:
			for _, text := range in {
				inputs = append(inputs, fmt.Sprint(text))
			}
		}
		*asked = append(*asked, inputs)
		var data []string
		tokens := 0
		for i, text := range inputs {
			tokens += len(text)
			data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[%d.50]}`, i, len(text)))
		}
		scripted.Reply(200, nil, fmt.Sprintf(`{"id":"e","object":"list","data":[%s],"model":"m-1","usage":{"prompt_tokens":%d,"total_tokens":%[2]d}}`,
			strings.Join(data, ","), tokens))(w, r)
	}
}

func embedding(t *testing.T, g got) (vectors []float64, tokens int) {
	t.Helper()
	var answer struct {
		Object, Model string
		Data          []struct {
			Index     int
			Embedding []float64
		}
		Usage struct {
			Prompt int `json:"prompt_tokens"`
			Total  int `json:"total_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(g.body), &answer); err != nil || answer.Model != "m-1" || answer.Object != "list" {
		t.Fatalf("got %s (%v), want a list of m-1", g.body, err)
	}
	for i, d := range answer.Data {
		if d.Index != i || len(d.Embedding) != 1 {
			t.Fatalf("got %s, want one number each, in order", g.body)
		}
		vectors = append(vectors, d.Embedding[0])
	}
	return vectors, answer.Usage.Prompt
}

func TestEmbeddingsAreKeptByInput(t *testing.T) {
	var asked [][]string
	a := scripted.New(t).Always(embeds(&asked))
	s := keeping(t, a, "cache 1h")
	for _, tt := range []struct {
		input, from string
		vectors     []float64
		tokens      int
	}{
		{`["a","bb"]`, "miss", []float64{1.5, 2.5}, 3},
		{`["bb","a"]`, "hit", []float64{2.5, 1.5}, 3},
		{`"bb"`, "hit", []float64{2.5}, 2},
		{`["ccc","a","dddd","bb"]`, "miss", []float64{3.5, 1.5, 4.5, 2.5}, 10},
		{`["dddd","ccc"]`, "hit", []float64{4.5, 3.5}, 7},
		{`["a","a"]`, "hit", []float64{1.5, 1.5}, 2},
		{`["e","e"]`, "miss", []float64{1.5, 1.5}, 2},
	} {
		g := ask(t, s, embeddingsPath, `{"model":"p","input":`+tt.input+`}`)
		g.from(t, tt.from)
		vectors, tokens := embedding(t, g)
		if !reflect.DeepEqual(vectors, tt.vectors) || tokens < tt.tokens-1 || tokens > tt.tokens+1 {
			t.Errorf("%s: got %v and %d tokens, want %v and about %d", tt.input, vectors, tokens, tt.vectors, tt.tokens)
		}
		if g.header.Get("X-LLM-Deployment") != "a" {
			t.Errorf("%s: got no deployment, want a", tt.input)
		}
	}
	if want := [][]string{{"a", "bb"}, {"ccc", "dddd"}, {"e", "e"}}; !reflect.DeepEqual(asked, want) {
		t.Errorf("the upstream was asked for %v, want %v", asked, want)
	}
	t.Run("not with other dimensions", func(t *testing.T) {
		ask(t, s, embeddingsPath, `{"model":"p","input":["a"],"dimensions":8}`).from(t, "miss")
	})
	t.Run("not past no-cache", func(t *testing.T) {
		ask(t, s, embeddingsPath, `{"model":"p","input":["a"]}`, "Cache-Control", "no-cache").from(t, "miss")
	})
}

func TestEmbeddingsThatAreOdd(t *testing.T) {
	t.Run("are kept whole", func(t *testing.T) {
		a := scripted.New(t).Always(scripted.Reply(200, nil, `{"data":[{"embedding":[1],"index":0,"more":1}],"model":"m"}`))
		s := keeping(t, a, "cache 1h")
		body := `{"model":"p","input":["a"]}`
		first := ask(t, s, embeddingsPath, body)
		first.from(t, "miss")
		again := ask(t, s, embeddingsPath, body)
		again.from(t, "hit")
		if again.body != first.body {
			t.Errorf("got %s again, want %s", again.body, first.body)
		}
	})
	t.Run("are told apart by all of them where one says something of another", func(t *testing.T) {
		for name, field := range map[string]string{
			"in one context":         `"late_chunking":true`,
			"with a list about each": `"modality":["text","image"]`,
		} {
			t.Run(name, func(t *testing.T) {
				var asked [][]string
				a := scripted.New(t).Always(embeds(&asked))
				s := keeping(t, a, "cache 1h")
				for _, tt := range []struct{ input, from string }{
					{`["a","bb"]`, "miss"}, {`["bb","a"]`, "miss"}, {`["bb","ccc"]`, "miss"}, {`["a","bb"]`, "hit"},
				} {
					ask(t, s, embeddingsPath, `{"model":"p",`+field+`,"input":`+tt.input+`}`).from(t, tt.from)
				}
				if want := [][]string{{"a", "bb"}, {"bb", "a"}, {"bb", "ccc"}}; !reflect.DeepEqual(asked, want) {
					t.Errorf("the upstream was asked for %v, want %v", asked, want)
				}
			})
		}
	})
	t.Run("are asked for whole where a part was asked for", func(t *testing.T) {
		var asked [][]string
		good := embeds(&asked)
		a := scripted.New(t).Then(good, scripted.Reply(200, nil, `{"data":[],"model":"m"}`)).Always(good)
		s := keeping(t, a, "cache 1h")
		ask(t, s, embeddingsPath, `{"model":"p","input":["a"]}`).from(t, "miss")
		g := ask(t, s, embeddingsPath, `{"model":"p","input":["a","bb"]}`)
		g.from(t, "miss")
		if vectors, _ := embedding(t, g); !reflect.DeepEqual(vectors, []float64{1.5, 2.5}) {
			t.Errorf("got %v, want both", vectors)
		}
		if want := [][]string{{"a"}, {"a", "bb"}}; !reflect.DeepEqual(asked, want) {
			t.Errorf("the upstream has answered for %v, want %v", asked, want)
		}
	})
	t.Run("are not put together where that is too long", func(t *testing.T) {
		a := scripted.New(t).Then(scripted.Reply(200, nil, `{"data":[{"index":0,"embedding":"`+strings.Repeat("A", 64<<10)+`"}],"model":"m"}`)).
			Always(scripted.Reply(200, nil, `{"data":[],"model":"m"}`))
		s := keeping(t, a, "cache 1h")
		body := func(times int) string { return `{"model":"p","input":["a"` + strings.Repeat(`,"a"`, times-1) + `]}` }
		ask(t, s, embeddingsPath, body(1)).from(t, "miss")
		ask(t, s, embeddingsPath, body(500)).from(t, "hit")
		ask(t, s, embeddingsPath, body(600)).from(t, "miss")
	})
	t.Run("are not put together with those of another pool", func(t *testing.T) {
		var asked, elsewhere [][]string
		a := scripted.New(t).Then(embeds(&asked)).Always(scripted.Error(500, "x", "x", "No."))
		b := scripted.New(t).Always(embeds(&elsewhere))
		s := routerWith(t, withFallback(a, b, "cache 1h\nretries 0\ncooldown off"))
		ask(t, s, embeddingsPath, `{"model":"p","input":["a"]}`).from(t, "miss")
		ask(t, s, embeddingsPath, `{"model":"p","input":["a","bb"]}`).from(t, "miss")
		ask(t, s, embeddingsPath, `{"model":"p","input":["bb"]}`).from(t, "miss")
		if want := [][]string{{"bb"}, {"a", "bb"}, {"bb"}}; !reflect.DeepEqual(elsewhere, want) {
			t.Errorf("the other pool was asked for %v, want %v", elsewhere, want)
		}
	})
	t.Run("keep the headers of other handlers", func(t *testing.T) {
		var asked [][]string
		embed := embeds(&asked)
		a := scripted.New(t).Always(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Vary", "X-Upstream")
			embed(w, r)
		})
		s := caddyharness.Load(t, ":8080 {\n\theader Vary Origin\n\tllm_router {\n"+keepingPool(a, "cache 1h")+"\n\t}\n}\n")
		for _, input := range []string{`["a"]`, `["a","bb"]`} {
			g := ask(t, s, embeddingsPath, `{"model":"p","input":`+input+`}`)
			g.from(t, "miss")
			if vary := g.header["Vary"]; !reflect.DeepEqual(vary, []string{"Origin", "X-Upstream"}) {
				t.Errorf("%s: got Vary %v, want both", input, vary)
			}
			if g.header.Get("Server") != "" {
				t.Errorf("%s: got the header of a server, want none", input)
			}
		}
	})
	t.Run("and refused in part, are refused", func(t *testing.T) {
		var asked [][]string
		a := scripted.New(t).Then(embeds(&asked)).Always(scripted.Error(400, "invalid_request_error", "x", "Too long."))
		s := keeping(t, a, "cache 1h")
		ask(t, s, embeddingsPath, `{"model":"p","input":["a"]}`).from(t, "miss")
		g := ask(t, s, embeddingsPath, `{"model":"p","input":["a","bb"]}`)
		if g.status != 400 || !strings.Contains(g.body, "Too long.") || g.header.Get("X-LLM-Attempts") != "1" {
			t.Errorf("got %d, %s and %v, want the refusal as it was", g.status, g.body, g.header)
		}
		ask(t, s, embeddingsPath, `{"model":"p","input":["a"]}`).from(t, "hit")
	})
}
