package cache

import (
	"encoding/json"
	"reflect"
	"testing"
)

func inputsOf(body string) (*Inputs, bool) {
	r := Request{Kind: Embeddings, Body: []byte(body)}
	return r.Inputs()
}

func TestInputs(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"a text":          {`{"input":"a"}`, []string{`"a"`}},
		"texts":           {`{"input":["a", "b\"c"]}`, []string{`"a"`, `"b\"c"`}},
		"tokens":          {`{"input":[1, 2]}`, []string{`[1, 2]`}},
		"several tokens":  {`{"input":[[1,2],[3]]}`, []string{`[1,2]`, `[3]`}},
		"nothing":         {`{"x":1}`, nil},
		"no texts":        {`{"input":[]}`, nil},
		"an object":       {`{"input":{"a":1}}`, nil},
		"text and tokens": {`{"input":["a",1]}`, nil},
		"tokens and text": {`{"input":[1,"a"]}`, nil},
		"a null":          {`{"input":[null]}`, nil},
		"no JSON":         {`{"input":["a"}`, nil},
		// of which each input has its own
		"a list beside texts":     {`{"modality":["text","image"],"input":["a","b"]}`, nil},
		"texts beside a list":     {`{"input":["a","b"],"modality":["image","text"]}`, nil},
		"texts in one context":    {`{"input":["a","b"],"late_chunking":true}`, nil},
		"texts in none":           {`{"input":["a","b"],"late_chunking":false}`, []string{`"a"`, `"b"`}},
		"texts and other options": {`{"input":["a","b"],"dimensions":8,"input_type":"query"}`, []string{`"a"`, `"b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			in, ok := inputsOf(tt.body)
			var got []string
			if ok {
				for _, input := range in.each {
					got = append(got, string(input))
				}
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("have the same key wherever they stand", func(t *testing.T) {
		alone, _ := inputsOf(`{"input":"b"}`)
		list, _ := inputsOf(`{"input":["a","\u0062"],"encoding_format":"float"}`)
		other, _ := inputsOf(`{"input":["b"],"dimensions":8}`)
		if alone.Keys[0] != list.Keys[1] || alone.Keys[0] == list.Keys[0] || alone.Keys[0] == other.Keys[0] {
			t.Errorf("got keys %x, %x and %x, want that of b twice, and not for other dimensions", alone.Keys, list.Keys, other.Keys)
		}
	})
	t.Run("can be asked for in part", func(t *testing.T) {
		in, _ := inputsOf(`{"model":"m", "input" : ["a", [1], "c"] , "user":"u"}`)
		if got, want := string(in.Only([]int{0, 2})), `{"model":"m", "input" : ["a","c"] , "user":"u"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestVectors(t *testing.T) {
	in, _ := inputsOf(`{"input":["aa","bb","cc"]}`)
	body := []byte(`{"id":"e-1","object":"list","data":[{"object":"embedding","index":1,"embedding":[2.0]},` +
		`{"object":"embedding","index":0,"embedding":[1e0]}],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}`)
	some, ok := in.Split([]int{0, 2}, body)
	if !ok || string(some[0].Embedding) != "[1e0]" || string(some[1].Embedding) != "[2.0]" || some[0].Tokens+some[1].Tokens != 7 {
		t.Fatalf("got %+v (%v), want two vectors in the order of their index, with 7 tokens", some, ok)
	}
	kept, ok := ReadVector(some[1].JSON())
	if !ok || !reflect.DeepEqual(kept, some[1]) {
		t.Errorf("got %+v (%v) of what was kept, want %+v", kept, ok, some[1])
	}
	all := []Vector{some[0], {Embedding: []byte(`"AAAA"`), Model: []byte(`"m"`), Tokens: 3}, kept}
	const data = `"data":[{"object":"embedding","index":0,"embedding":[1e0]},{"object":"embedding","index":1,"embedding":"AAAA"},` +
		`{"object":"embedding","index":2,"embedding":[2.0]}]`
	for name, tt := range map[string]struct {
		from []byte
		want string
	}{
		"with another answer": {body, `{"id":"e-1","object":"list",` + data + `,"model":"m","usage":{"prompt_tokens":10,"total_tokens":10}}`},
		"by themselves":       {nil, `{"object":"list","model":"m","usage":{"prompt_tokens":10,"total_tokens":10},` + data + `}`},
	} {
		t.Run("put together "+name, func(t *testing.T) {
			got, ok := Join(all, tt.from)
			if !ok || string(got) != tt.want || !json.Valid(got) {
				t.Errorf("got %s (%v), want %s", got, ok, tt.want)
			}
		})
	}
	t.Run("not of two models", func(t *testing.T) {
		all[1].Model = []byte(`"other"`)
		if got, ok := Join(all, nil); ok {
			t.Errorf("got %s, want nothing", got)
		}
	})
}

func TestAnswersThatAreNotSplit(t *testing.T) {
	in, _ := inputsOf(`{"input":["a","b"]}`)
	for name, body := range map[string]string{
		"too few":        `{"data":[{"index":0,"embedding":[1]}],"model":"m"}`,
		"too many":       `{"data":[{"embedding":[1]},{"embedding":[1]},{"embedding":[1]}],"model":"m"}`,
		"one twice":      `{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}],"model":"m"}`,
		"out of range":   `{"data":[{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}],"model":"m"}`,
		"a bad index":    `{"data":[{"index":0,"embedding":[1]},{"index":-1,"embedding":[1]}],"model":"m"}`,
		"more to say":    `{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1],"x":1}],"model":"m"}`,
		"no vectors":     `{"data":[{"index":0,"embedding":null},{"index":1,"embedding":1}],"model":"m"}`,
		"no model":       `{"data":[{"embedding":[1]},{"embedding":[1]}]}`,
		"no list":        `{"data":{"0":1},"model":"m"}`,
		"another list":   `{"data":[[1],[2]],"model":"m"}`,
		"an error":       `{"error":{"message":"x"},"data":[{"embedding":[1]},{"embedding":[1]}],"model":"m"}`,
		"data twice":     `{"data":[],"data":[{"embedding":[1]},{"embedding":[1]}],"model":"m"}`,
		"no JSON":        `{"data":[{"embedding":[1]},{"embedding":[1]}],"model":"m"`,
		"another answer": `[1]`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := in.Split([]int{0, 1}, []byte(body)); ok {
				t.Errorf("got %+v, want nothing", got)
			}
		})
	}
}

// Whatever an upstream says, what is made of its answer is JSON with as many vectors
// as were asked for.
func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]},{"index":1,"embedding":"AA"}],"model":"m","usage":{"prompt_tokens":7}}`))
	f.Add([]byte(`{"data":[{"embedding":[1]},{"embedding":[2]}],"model":null,"usage":null,"usage":{},"x":{"y":[1]}}`))
	in, _ := inputsOf(`{"input":["a","b"]}`)
	f.Fuzz(func(t *testing.T, body []byte) {
		vectors, ok := in.Split([]int{0, 1}, body)
		if !ok {
			return
		}
		for _, from := range [][]byte{nil, body} {
			joined, ok := Join(vectors, from)
			var answer struct {
				Data []struct{ Embedding json.RawMessage }
			}
			if !ok || json.Unmarshal(joined, &answer) != nil {
				t.Fatalf("%q: got %q (%v), want an answer", body, joined, ok)
			}
		}
		for _, v := range vectors {
			if _, ok := ReadVector(v.JSON()); !ok {
				t.Errorf("%q: got %q to keep, which cannot be read", body, v.JSON())
			}
		}
	})
}
