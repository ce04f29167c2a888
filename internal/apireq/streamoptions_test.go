package apireq

import (
	"encoding/json"
	"testing"
)

func TestAskUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		body, want string // no want: nothing to change
	}{
		"no options":         {`{"stream":true}`, `{"stream_options":{"include_usage":true},"stream":true}`},
		"null":               {`{"stream_options":null}`, `{"stream_options":{"include_usage":true}}`},
		"no option":          {`{"stream_options":{ }}`, `{"stream_options":{"include_usage":true }}`},
		"another option":     {`{"stream_options": {"include_obfuscation":false},"n":1}`, `{"stream_options": {"include_usage":true,"include_obfuscation":false},"n":1}`},
		"said no":            {`{"stream_options":{"a":[1],"include_usage" : false }}`, `{"stream_options":{"a":[1],"include_usage" : true }}`},
		"said null":          {`{"stream_options":{"include_usage":null}}`, `{"stream_options":{"include_usage":true}}`},
		"said no, escaped":   {`{"stream_options":{"include\u005fusage":false}}`, `{"stream_options":{"include\u005fusage":true}}`},
		"twice":              {`{"stream_options":{"include_usage":true},"stream_options":{"include_usage":false}}`, `{"stream_options":{"include_usage":true},"stream_options":{"include_usage":true}}`},
		"asked":              {`{"stream_options":{"include_usage":true}}`, ""},
		"asked, escaped":     {`{"stream_options":{"include\u005fusage":true}}`, ""},
		"a number":           {`{"stream_options":{"include_usage":1}}`, ""},
		"options of a kind":  {`{"stream_options":"x"}`, ""},
		"options in a list":  {`{"stream_options":[]}`, ""},
		"options with a gap": {`{"stream_options":{"a" 1}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			facts, err := ScanJSON([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			at, value, ok := facts.AskUsage([]byte(tt.body))
			if ok != (tt.want != "") {
				t.Fatalf("got %v, want %v", ok, tt.want != "")
			}
			if !ok {
				return
			}
			if at == (Span{}) {
				at, value = Span{1, 1}, append(append([]byte(`"stream_options":`), value...), ',')
			}
			b := BodyOf([]byte(tt.body))
			if got := string(b.Append(nil, replaced(at.Start, at.End, value))); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Whatever the client wrote, the body stays JSON and asks for the usage.
func FuzzAskUsage(f *testing.F) {
	for _, seed := range []string{
		`null`, `{}`, `{"include_usage":false}`, `{"a":1,"include_usage":null}`, `{"include\u005fusage":true}`, `{"include_usage":{}}`, `[]`, `"\"}"`, ` { } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, options []byte) {
		body := append(append([]byte(`{"stream_options":`), options...), '}')
		facts, err := ScanJSON(body)
		if err != nil {
			return
		}
		at, value, ok := facts.AskUsage(body)
		if !ok || !json.Valid(body) || at == (Span{}) {
			return
		}
		got := BodyOf(body).Append(nil, replaced(at.Start, at.End, value))
		var q struct {
			StreamOptions map[string]any `json:"stream_options"`
		}
		if err := json.Unmarshal(got, &q); err != nil || q.StreamOptions["include_usage"] != true {
			t.Errorf("%s became %s: %v", body, got, err)
		}
	})
}
