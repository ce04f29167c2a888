package apireq

import "testing"

// read scans a body of JSON.
func read(t testing.TB, body string) (*Body, *Facts) {
	t.Helper()
	facts, err := ScanJSON([]byte(body))
	if err != nil {
		t.Fatalf("%.100s: %v", body, err)
	}
	return BodyOf([]byte(body)), &facts
}

func TestSessionFields(t *testing.T) {
	fields := map[string]func(b *Body, f *Facts) []byte{
		"prompt_cache_key":     func(b *Body, f *Facts) []byte { return b.Text(f.PromptCacheKey) },
		"previous_response_id": func(b *Body, f *Facts) []byte { return b.Text(f.PreviousResponse) },
		"session_id":           func(b *Body, f *Facts) []byte { return b.Text(f.SessionID) },
		"metadata.user_id":     func(b *Body, f *Facts) []byte { return b.MetadataText(f, "user_id") },
	}
	for _, tt := range []struct {
		name, body, field, want string
	}{
		{"the key of a prompt cache", `{"prompt_cache_key":"k1","model":"m"}`, "prompt_cache_key", "k1"},
		{"an answer that is gone on with", `{"model":"m","previous_response_id": "resp_1"}`, "previous_response_id", "resp_1"},
		{"a session", `{"session_id":"s"}`, "session_id", "s"},
		{"a user", `{"metadata":{"a":[{"user_id":"x"}],"user_id":"u"}}`, "metadata.user_id", "u"},
		{"a key that is written with escapes", `{"metadata":{"user\u005fid":"u"}}`, "metadata.user_id", "u"},
		{"as it is written", `{"session_id":"\u0041\""}`, "session_id", `\u0041\"`},
		{"the last of two", `{"session_id":"s","session_id":"t"}`, "session_id", "t"},
		{"nothing", `{"session_id":""}`, "session_id", ""},
		{"null", `{"prompt_cache_key":null}`, "prompt_cache_key", ""},
		{"a number", `{"session_id":12}`, "session_id", ""},
		{"an object", `{"previous_response_id":{"id":"x"}}`, "previous_response_id", ""},
		{"metadata that is no object", `{"metadata":"user_id"}`, "metadata.user_id", ""},
		{"a user that is no text", `{"metadata":{"user_id":["u"]}}`, "metadata.user_id", ""},
		{"metadata without a user", `{"metadata":{}}`, "metadata.user_id", ""},
		{"the last of two users", `{"metadata":{"user_id":"u","user_id":"v"}}`, "metadata.user_id", "v"},
		{"a field deeper down", `{"metadata":{"session_id":"s"}}`, "session_id", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, f := read(t, tt.body)
			for name, of := range fields {
				want := ""
				if name == tt.field {
					want = tt.want
				}
				if got := string(of(b, f)); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestUnstored(t *testing.T) {
	for body, want := range map[string]bool{`{"store":false}`: true, `{"store":true}`: false, `{}`: false, `{"store":"false"}`: false} {
		if _, f := read(t, body); f.Unstored != want {
			t.Errorf("%s: got %v, want %v", body, f.Unstored, want)
		}
	}
}
