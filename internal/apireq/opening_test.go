package apireq

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestOpenings(t *testing.T) {
	system, first, second := message("system", 4000, "s"), message("user", 50, "q"), message("user", 50, "r")
	answer := message("assistant", 50, "a")
	turn := `{"model":"m","messages":[` + system + `,` + first + `]}`
	long := func(begin, end string) string {
		return `{"messages":[{"role":"user","content":"` + begin + strings.Repeat("x", 3*maxOpening) + end + `"}]}`
	}
	parts := func(n int, last string) string {
		return `{"messages":[{"role":"user","content":[` + strings.Repeat(`{"text":"q"},`, n) + last + `]}]}`
	}
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"the same request", turn, turn, true},
		{"the next turn", turn, `{"model":"m","messages":[` + system + `,` + first + `,` + answer + `,` + second + `]}`, true},
		{"other fields", turn, `{"stream":true,"messages":[` + system + `,` + first + `],"tools":[{}]}`, true},
		{"a system prompt that all share", turn, `{"messages":[` + system + `,` + second + `]}`, false},
		{"another system prompt", turn, `{"messages":[` + message("system", 4000, "t") + `,` + first + `]}`, false},
		{"a system prompt beside the messages", `{"system":"s","messages":[` + first + `]}`, `{"messages":[` + first + `,` + answer + `],"system":"s"}`, true},
		{"another one beside the messages", `{"system":"s","messages":[` + first + `]}`, `{"system":"t","messages":[` + first + `]}`, false},
		{"instructions and input", `{"instructions":"i","input":[` + first + `]}`, `{"instructions":"i","input":[` + first + `,` + answer + `]}`, true},
		{
			"a mark for a cache that has moved",
			`{"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},` + answer + `]}`, true,
		},
		{"a text, and a list of it", `{"messages":[{"role":"user","content":"q"}]}`, `{"messages":[{"content":[{"text":"q","type":"text"}],"role":"user"},` + answer + `]}`, true},
		{"a second text", `{"messages":[{"role":"user","content":[{"text":"q"},{"text":"r"}]}]}`, `{"messages":[{"role":"user","content":[{"text":"q"},{"text":"s"}]}]}`, false},
		{"texts that are cut elsewhere", `{"messages":[{"role":"user","content":[{"text":"q"},{"text":"r"}]}]}`, `{"messages":[{"role":"user","content":[{"text":"qr"}]}]}`, false},
		{"a mark at the last part that is told apart", parts(maxContentParts-1, `{"text":"r"}`), parts(maxContentParts-1, `{"text":"r","cache_control":{}}`), true},
		{"a mark at the next, which is as it is", parts(maxContentParts, `{"text":"r"}`), parts(maxContentParts, `{"text":"r","cache_control":{}}`), false},
		{"another text after them", parts(2*maxContentParts, `{"text":"r"}`), parts(2*maxContentParts, `{"text":"s"}`), false},
		{"another image", `{"messages":[{"role":"user","content":[{"text":"q"},{"image_url":"a"}]}]}`, `{"messages":[{"role":"user","content":[{"text":"q"},{"image_url":"b"}]}]}`, false},
		{"a user who says nothing", `{"messages":[{"role":"user"}]}`, `{"messages":[{"role":"user"},` + answer + `]}`, true},
		{"another message before the user's", `{"messages":[` + answer + `,` + first + `]}`, `{"messages":[` + system + `,` + first + `]}`, false},
		{"Gemini's contents", `{"contents":[{"role":"user","parts":[{"text":"q"}]}]}`, `{"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model"}]}`, true},
		{"blanks between messages", `{"messages": [ ` + first + ` , ` + answer + `]}`, `{"messages": [ ` + first + ` , ` + second + `]}`, true},
		{"a long message that ends otherwise", long("b", "e"), long("b", "f"), false},
		{"a long message that begins otherwise", long("b", "e"), long("c", "e"), false},
		{"a long message again", long("b", "e"), long("b", "e"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, fa := read(t, tt.a)
			b, fb := read(t, tt.b)
			x, ok1 := a.Opening(fa)
			y, ok2 := b.Opening(fb)
			if !ok1 || !ok2 || (x == y) != tt.same {
				t.Errorf("got openings %v and %v, the same: %v; want two, the same: %v", ok1, ok2, x == y, tt.same)
			}
		})
	}
	for name, body := range map[string]string{
		"a prompt that is one text":   `{"prompt":"hi"}`,
		"embeddings":                  `{"input":["a","b"]}`,
		"tokens":                      `{"input":[[1,2],[3]]}`,
		"an input that is one text":   `{"input":"hi"}`,
		"no message of a user":        `{"messages":[` + system + `,` + answer + `]}`,
		"no messages":                 `{"messages":[]}`,
		"only a system prompt":        `{"system":"s"}`,
		"messages of another kind":    `{"messages":{"role":"user"}}`,
		"messages that are none":      `{"messages":[1,"user",{"role":"user"}]}`,
		"a message that is no object": `{"messages":[{"role":"system" 1},{"role":"user"}]}`,
		"documents":                   `{"documents":[{"text":"d"}],"query":"q"}`,
		"nothing":                     `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			b, f := read(t, body)
			if hash, ok := b.Opening(f); ok {
				t.Errorf("got the opening %x, want none", hash)
			}
		})
	}
}

func FuzzOpening(f *testing.F) {
	for _, body := range []string{
		`{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text"}]}],"metadata":{"user_id":"u"}}`,
		`{"input":[{"role":"developer"},{"role":"user"}],"previous_response_id":"resp","session_id":"s"}`,
		`{"messages":[{"a":1,},{"role":"user"}]}`, `{"metadata":{"user_id":"\ud800`, `{"metadata":[]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		facts, err := ScanJSON(body)
		if err != nil {
			return
		}
		b := BodyOf(body)
		hash, ok := b.Opening(&facts)
		if user := b.MetadataText(&facts, "user_id"); !bytes.Contains(body, user) {
			t.Errorf("got the user %q, want a part of the body", user)
		}
		if !ok || !json.Valid(body) || bytes.Count(body, []byte("messages")) != 1 {
			return
		}
		// Another field, and what comes after the conversation's begin, make no other.
		wider := append([]byte(`{"temperature":1,`), bytes.TrimLeft(body, " \t\r\n")[1:]...)
		facts, err = ScanJSON(wider)
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := BodyOf(wider).Opening(&facts); !ok || again != hash {
			t.Errorf("got %x, %v of the body with another field, want %x", again, ok, hash)
		}
	})
}

func BenchmarkOpening(b *testing.B) {
	body, f := read(b, `{"messages":[`+message("system", 30<<10, "s")+`,`+message("user", 2<<10, "q")+`,`+message("assistant", 200<<10, "a")+`]}`)
	b.ReportAllocs()
	for b.Loop() {
		body.Opening(f)
	}
}
