package cache

import "testing"

func keyOf(kind Kind, body string, scope ...string) (Key, bool) {
	r := Request{Kind: kind, Body: []byte(body), Scope: scope}
	return r.Key()
}

func TestKeysThatAreTheSame(t *testing.T) {
	for name, tt := range map[string]struct {
		kind Kind
		a, b string
	}{
		"whatever the model is called": {Chat, `{"model":"a","messages":[]}`, `{"model":"b","messages":[]}`},
		"in any order":                 {Chat, `{"seed":1,"messages":[]}`, `{"messages":[],"seed":1.0}`},
		"with a default that is said":  {Chat, `{"messages":[]}`, `{"messages":[],"temperature":1,"top_p":1.0,"n":1,"stream":false}`},
		"with nulls":                   {Chat, `{"messages":[]}`, `{"messages":[],"tools":null,"temperature":null,"stop":null}`},
		"for any user":                 {Chat, `{"messages":[],"user":"a"}`, `{"messages":[],"user":"b","metadata":{"x":1}}`},
		"with store off":               {Chat, `{"messages":[]}`, `{"messages":[],"store":null}`},
		"for a text as format":         {Chat, `{"messages":[]}`, `{"messages":[],"response_format":{"type":"text"}}`},
		"for completions":              {Completions, `{"prompt":"x"}`, `{"prompt":"x","echo":false,"best_of":1}`},
		"for responses":                {Responses, `{"input":"x"}`, `{"input":"x","background":false,"truncation":"disabled","previous_response_id":null}`},
		"for messages":                 {Messages, `{"messages":[]}`, `{"messages":[],"metadata":{"user_id":"x"},"temperature":1.0}`},
		"for embeddings":               {Embeddings, `{"input":"x"}`, `{"input":"x","encoding_format":"float","user":"x","dimensions":null}`},
		"for rerank":                   {Rerank, `{"query":"x","documents":["a"]}`, `{"documents":["a"],"query":"x","top_n":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			a, okA := keyOf(tt.kind, tt.a)
			b, okB := keyOf(tt.kind, tt.b)
			if !okA || !okB || a != b {
				t.Errorf("%s and %s: got keys %x (%v) and %x (%v), want one", tt.a, tt.b, a, okA, b, okB)
			}
		})
	}
}

func TestKeysThatDiffer(t *testing.T) {
	for name, tt := range map[string]struct {
		kind Kind
		a, b string
	}{
		"by what is said":            {Chat, `{"messages":[{"role":"user","content":"a"}]}`, `{"messages":[{"role":"user","content":"b"}]}`},
		"by temperature":             {Chat, `{"messages":[]}`, `{"messages":[],"temperature":0}`},
		"by stream":                  {Chat, `{"messages":[]}`, `{"messages":[],"stream":true}`},
		"by stream_options":          {Chat, `{"stream":true}`, `{"stream":true,"stream_options":{"include_usage":true}}`},
		"by an unknown field":        {Chat, `{"messages":[]}`, `{"messages":[],"min_p":0.1}`},
		"by an unknown null":         {Chat, `{"messages":[]}`, `{"messages":[],"x":null}`},
		"by a default further below": {Chat, `{"messages":[{}]}`, `{"messages":[{"n":1}]}`},
		"by another kind's default":  {Messages, `{"messages":[]}`, `{"messages":[],"top_p":1}`},
		"by what an answer repeats":  {Responses, `{"input":"x"}`, `{"input":"x","metadata":{"a":"b"}}`},
		"by store in responses":      {Responses, `{"input":"x"}`, `{"input":"x","store":false}`},
		"by the encoding":            {Embeddings, `{"input":"x"}`, `{"input":"x","encoding_format":"base64"}`},
		"by a model further below":   {Chat, `{"x":{"model":"a"}}`, `{"x":{"model":"b"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			a, okA := keyOf(tt.kind, tt.a)
			b, okB := keyOf(tt.kind, tt.b)
			if !okA || !okB || a == b {
				t.Errorf("%s and %s: got keys %x (%v) and %x (%v), want two", tt.a, tt.b, a, okA, b, okB)
			}
		})
	}
	t.Run("by kind and scope", func(t *testing.T) {
		seen := make(map[Key]string)
		for name, of := range map[string]struct {
			kind  Kind
			scope []string
		}{
			"chat": {Chat, nil}, "rerank": {Rerank, nil}, "a": {Chat, []string{"a"}}, "b": {Chat, []string{"b"}},
			"ab": {Chat, []string{"ab"}}, "a, b": {Chat, []string{"a", "b"}}, "empty": {Chat, []string{""}},
		} {
			key, ok := keyOf(of.kind, `{}`, of.scope...)
			if other, twice := seen[key]; twice || !ok {
				t.Errorf("%s: got the key of %q (%v), want another", name, other, ok)
			}
			seen[key] = name
		}
	})
}

func TestLiteralDefaults(t *testing.T) {
	key := func(body string) Key {
		r := Request{Kind: Chat, Body: []byte(body), Literal: true}
		k, ok := r.Key()
		if !ok {
			t.Fatalf("%s has no key", body)
		}
		return k
	}
	if key(`{"temperature":1}`) == key(`{}`) {
		t.Error("a temperature of 1 is the same as none, want another")
	}
	if key(`{"temperature":null}`) != key(`{}`) {
		t.Error("null is another than none, want the same")
	}
}

func TestRequestsWithoutKey(t *testing.T) {
	for name, tt := range map[string]struct {
		kind Kind
		body string
	}{
		"no object":             {Chat, `[]`},
		"no JSON":               {Chat, `{"messages":[}`},
		"a field twice":         {Chat, `{"seed":1,"seed":2}`},
		"an ignored one twice":  {Chat, `{"user":"a","user":"b"}`},
		"a chat to be stored":   {Chat, `{"store":true}`},
		"a response to store":   {Responses, `{"store":true}`},
		"one that goes on":      {Responses, `{"previous_response_id":"resp_1"}`},
		"one in a conversation": {Responses, `{"conversation":"conv_1"}`},
		"one in the background": {Responses, `{"background":true}`},
		"one in a container":    {Messages, `{"container":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if key, ok := keyOf(tt.kind, tt.body); ok {
				t.Errorf("got the key %x, want none", key)
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	for path, want := range map[string]Kind{
		"/v1/chat/completions": Chat, "/openai/deployments/x/chat/completions/": Chat, "/v1/completions": Completions,
		"/v1/responses": Responses, "/v1/messages": Messages, "/v1/embeddings": Embeddings, "/v2/rerank": Rerank,
	} {
		if got, ok := KindOf(path); !ok || got != want {
			t.Errorf("%s: got %d (%v), want %d", path, got, ok, want)
		}
	}
	for _, path := range []string{"/v1/images/generations", "/v1/messages/count_tokens", "/v1/threads/t/messages", "/v1/audio/speech", "/", "/api/chat"} {
		if got, ok := KindOf(path); ok {
			t.Errorf("%s: got %d, want none", path, got)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	body := []byte(`{"model":"m","temperature":0.2,"messages":[{"role":"system","content":"You are helpful."},{"role":"user","content":"Hi, how are you?"}]}`)
	scope := []string{"pool", "/v1/chat/completions", "team"}
	b.ReportAllocs()
	for b.Loop() {
		r := Request{Kind: Chat, Body: body, Scope: scope}
		if _, ok := r.Key(); !ok {
			b.Fatal("no key")
		}
	}
}
