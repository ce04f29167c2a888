package apireq

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// member is one top-level member as encoding/json sees it.
type member struct {
	key string
	raw json.RawMessage
}

// decodeMembers lists the top-level members of a body, duplicates included.
// ok is false when encoding/json does not accept the body as an object.
func decodeMembers(body []byte) (list []member, ok bool) {
	var whole map[string]json.RawMessage
	if json.Unmarshal(body, &whole) != nil || whole == nil {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, false
		}
		list = append(list, member{key.(string), raw})
	}
	return list, true
}

// readable reports whether a model that encoding/json decoded is one to accept.
// U+FFFD may stand for something that was not valid, so its spelling decides.
func readable(raw json.RawMessage, model string) bool {
	if len(model) > MaxModelLen || !utf8.Valid(raw) || strings.ContainsFunc(model, unicode.IsControl) {
		return false
	}
	spelt := strings.Count(string(raw), "\ufffd") + strings.Count(strings.ToLower(string(raw)), `\ufffd`)
	return strings.Count(model, "\ufffd") <= spelt
}

// expectRefusal says whether a body that encoding/json accepts is to be refused.
func expectRefusal(list []member) bool {
	var models, streams int
	for _, m := range list {
		switch {
		case m.key == "model":
			models++
			var s string
			if m.raw[0] != '"' || json.Unmarshal(m.raw, &s) != nil || !readable(m.raw, s) {
				return true
			}
		case m.key == "stream":
			streams++
			if s := string(m.raw); s != "true" && s != "false" && s != "null" {
				return true
			}
		case strings.EqualFold(m.key, "model"), strings.EqualFold(m.key, "stream"):
			return true
		}
	}
	return models > 1 || streams > 1
}

// halfPairInKey reports whether a key may hold half a surrogate pair. ScanJSON
// refuses such a key when it is short, encoding/json makes it U+FFFD.
func halfPairInKey(list []member) bool {
	return slices.ContainsFunc(list, func(m member) bool { return strings.Contains(m.key, "\ufffd") })
}

func FuzzScanJSON(f *testing.F) {
	for _, seed := range []string{
		`{"model":"a","stream":true,"messages":[{"role":"user","content":"\"hi\"\\"}],"max_tokens":1e2}`,
		`{"mod\u0065l":"\ud83d\ude00\/","Stream":null,"n":3,"options":{"num_predict":-1}}`,
		` { "model" : "" , "model" : "x" } `, `{"model":"\ud800"}`, `{"MODEL":1}`, `{"ſtream":0}`, `{"a":[[{"b":"]}"}]]}`,
		`{"a":1}{`, `{"a":[}`, `{"a":"\`, `[]`, "\ufeff{}", "{\"model\":\"\xff\"}", `{"x":12345678901234567890,"prompt":"yY_[]"}`,
		`{"stream_options":{"include_usage":true},"priority": -1 ,"tools":[],"system":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(checkScanJSON)
}

// Bodies made of random tokens reach valid JSON, duplicates and near misses far
// more often than random bytes do.
func TestScanJSONAgainstEncodingJSON(t *testing.T) {
	tokens := strings.Split(`{ } [ ] , : "model" "stream" "Model" "mod\u0065l" "\u0073tream" "a" "" "b\"c" "d\\" "n" "messages" "max_tokens" "input" "stream_options" "priority" "metadata" "store" true false null 1 -2 3.5e1 {"model":"x"} [1,2]`, " ")
	const keys, firstKey = 17, 6
	random := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range 50_000 {
		body := []byte("{")
		for i := range random.IntN(6) {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, tokens[firstKey+random.IntN(keys)]...)
			body = append(body, ": "[:1+random.IntN(2)]...)
			body = append(body, tokens[firstKey+random.IntN(len(tokens)-firstKey)]...)
		}
		body = append(body, '}')
		if random.IntN(3) == 0 { // break it
			at := random.IntN(len(body))
			body = slices.Concat(body[:at], []byte(tokens[random.IntN(len(tokens))]), body[at+random.IntN(2):])
		}
		if json.Valid(body) {
			valid++
		}
		checkScanJSON(t, body)
	}
	if valid < 10_000 {
		t.Errorf("got %d valid bodies, want at least 10000 for the test to mean something", valid)
	}
}

func checkScanJSON(t *testing.T, body []byte) {
	t.Helper()
	got, err := ScanJSON(bytes.Clone(body)[:len(body):len(body)])
	var at *ScanError
	if err != nil && (!errors.As(err, &at) || at.Offset < 0 || at.Offset > len(body)) {
		t.Fatalf("got error %#v, want a *ScanError within %d bytes", err, len(body))
	}
	if err == nil && got.ModelStart >= 0 {
		checkSplice(t, body, got)
	}
	list, ok := decodeMembers(body)
	if !ok {
		return
	}
	if want := expectRefusal(list); want || err != nil {
		if err == nil || !want && !halfPairInKey(list) {
			t.Fatalf("%s: got %v, want an error: %v", body, err, want)
		}
		return
	}
	want := newFacts()
	limits := map[string]int{}
	for _, m := range list {
		switch m.key {
		case "model":
			if err := json.Unmarshal(m.raw, &want.Model); err != nil {
				t.Fatal(err)
			}
			if span := body[got.ModelStart:got.ModelEnd]; !bytes.Equal(span, m.raw) {
				t.Fatalf("got span %s, want %s", span, m.raw)
			}
			want.ModelStart, want.ModelEnd = got.ModelStart, got.ModelEnd
		case "stream":
			want.Stream, want.StreamSet = string(m.raw) == "true", string(m.raw) != "null"
		case "messages", "input", "prompt", "system", "instructions", "tools", "contents", "documents", "query":
			want.PromptBytes += len(m.raw)
		case "n":
			want.Choices = max(1, floatCount(m.raw))
		case "store":
			want.Unstored = string(m.raw) == "false"
		case "truncation", "truncate", "truncate_prompt_tokens":
			want.Truncates = want.Truncates || truncates(m.raw)
		case "options":
			limits[m.key] = got.MaxOutput // compared by the table test
		case "max_completion_tokens", "max_output_tokens", "max_tokens":
			limits[m.key] = floatCount(m.raw)
		}
	}
	for _, key := range []string{"max_completion_tokens", "max_output_tokens", "max_tokens", "options"} {
		if want.MaxOutput == 0 {
			want.MaxOutput = limits[key]
		}
	}
	checkSpans(t, body, &got, list)
	got.prompt = promptParts{}
	for _, span := range spansOf(&got) {
		*span = Span{}
	}
	if got != want {
		t.Fatalf("%s: got %+v, want %+v", body, got, want)
	}
	if g := gjson.GetBytes(body, "model"); g.String() != want.Model {
		t.Fatalf("got %q from gjson, want %q", g.String(), want.Model)
	}
	if g := gjson.GetBytes(body, "stream"); g.Bool() != want.Stream {
		t.Fatalf("got %v from gjson, want %v", g.Bool(), want.Stream)
	}
}

// checkSpans holds the spans of an accepted body against its members.
func checkSpans(t *testing.T, body []byte, got *Facts, list []member) {
	t.Helper()
	values := make(map[string]string) // the last one counts
	var prompt []string
	for _, m := range list {
		values[m.key] = string(m.raw)
		if isPrompt([]byte(m.key)) && len(prompt) < maxPromptParts {
			prompt = append(prompt, string(m.raw))
		}
	}
	text := func(s Span) string { return string(body[s.Start:s.End]) }
	for key, span := range spansOf(got) {
		if s := text(*span); s != values[key] {
			t.Fatalf("%s: got %s %s, want %s", body, key, s, values[key])
		}
	}
	var parts []string
	for _, p := range got.prompt.list[:got.prompt.n] {
		parts = append(parts, text(p.Span))
	}
	if !slices.Equal(parts, prompt) {
		t.Fatalf("%s: got prompt %q, want %q", body, parts, prompt)
	}
}

// spansOf are the spans of single members, by key.
func spansOf(f *Facts) map[string]*Span {
	return map[string]*Span{
		"stream_options": &f.StreamOptions, "priority": &f.Priority, "prompt_cache_key": &f.PromptCacheKey,
		"previous_response_id": &f.PreviousResponse, "session_id": &f.SessionID, "metadata": &f.Metadata,
	}
}

// floatCount is what a count should be, by way of encoding/json and gjson.
func floatCount(raw json.RawMessage) int {
	if raw[0] < '0' || raw[0] > '9' {
		return 0
	}
	if len(raw) > maxNumberLen {
		return count(raw)
	}
	return int(min(gjson.ParseBytes(raw).Num, maxCount))
}

// checkSplice replaces the model of an accepted body and reads it again.
func checkSplice(t *testing.T, body []byte, f Facts) {
	t.Helper()
	const model = `other "model"`
	spliced := slices.Concat(body[:f.ModelStart], JSONString(model), body[f.ModelEnd:])
	got, err := ScanJSON(spliced)
	want := f
	want.Model, want.ModelEnd = model, f.ModelStart+len(JSONString(model))
	for _, span := range spansOf(&want) {
		if span.Start > f.ModelEnd {
			span.Start += want.ModelEnd - f.ModelEnd
			span.End += want.ModelEnd - f.ModelEnd
		}
	}
	got.prompt, want.prompt = promptParts{}, promptParts{}
	if err != nil || got != want {
		t.Fatalf("%s: got %+v, %v, want %+v", spliced, got, err, want)
	}
}
