package apireq

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestScanJSON(t *testing.T) {
	none := newFacts()
	for _, tt := range []struct {
		name, body string
		want       Facts
	}{
		{"an empty object", `{}`, none},
		{"an empty object in space", " \t\r\n{ \n} \r\n", none},
		{"the model alone", `{"model":"a"}`, Facts{Model: "a", ModelStart: 9, ModelEnd: 12, Choices: 1}},
		{"white space everywhere", " {\n\t\"model\" \r:\t\"a\" ,\n\"stream\" : true\n} ", Facts{Model: "a", ModelStart: 15, ModelEnd: 18, Stream: true, StreamSet: true, Choices: 1}},
		{"the model last", `{"x":[{"model":"no"}],"model":"b"}`, Facts{Model: "b", ModelStart: 30, ModelEnd: 33, Choices: 1}},
		{"an empty model", `{"model":""}`, Facts{ModelStart: 9, ModelEnd: 11, Choices: 1}},
		{"a model in the text", `{"x":"\"model\":\"no\"","y":"\\"}`, none},
		{"a model deeper down", `{"x":{"model":"no","stream":true},"y":[["model"]]}`, none},
		{"an escaped key", `{"mod\u0065l":"a"}`, Facts{Model: "a", ModelStart: 14, ModelEnd: 17, Choices: 1}},
		{"an escaped model", `{"model":"\u0061\/b \"\\ \ud83d\ude00"}`, Facts{Model: "a/b \"\\ 😀", ModelStart: 9, ModelEnd: 38, Choices: 1}},
		{"a model in UTF-8", `{"model":"日本"}`, Facts{Model: "日本", ModelStart: 9, ModelEnd: 17, Choices: 1}},
		{"other escaped keys", `{"a\nb":1,"` + strings.Repeat(`\u0061`, 40) + `":"x"}`, none},
		{"stream false", `{"stream":false}`, Facts{ModelStart: -1, ModelEnd: -1, StreamSet: true, Choices: 1}},
		{"stream null", `{"stream":null}`, none},
		{"the prompt's parts", `{"messages":[1],"input":"ab","system":{},"tools":[],"user":"no"}`, Facts{ModelStart: -1, ModelEnd: -1, Choices: 1, PromptBytes: 3 + 4 + 2 + 2}},
		{"the rest of the prompt's parts", `{"prompt":"","instructions":"","contents":[],"documents":[],"query":""}`, Facts{ModelStart: -1, ModelEnd: -1, Choices: 1, PromptBytes: 10}},
		{"numbers that JSON lacks", `{"x":NaN,"y":-Infinity,"z":+1.5e-3}`, none},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ScanJSON([]byte(tt.body))
			got.prompt = promptParts{} // has a test of its own
			if err != nil || got != tt.want {
				t.Errorf("%s: got %+v, %v, want %+v", tt.body, got, err, tt.want)
			}
		})
	}
}

func TestScanJSONRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error
		offset     int
	}{
		{"nothing", ``, ErrNotObject, 0},
		{"white space", " \n", ErrNotObject, 2},
		{"an array", ` ["model"]`, ErrNotObject, 1},
		{"a string", `"model"`, ErrNotObject, 0},
		{"null", `null`, ErrNotObject, 0},
		{"a byte order mark", "\ufeff{}", ErrNotObject, 0},
		{"UTF-16", "{\x00\"\x00", ErrSyntax, 1},
		{"NUL bytes", "\x00{}", ErrNotObject, 0},
		{"NUL after the object", "{}\x00", ErrTrailing, 2},
		{"a second object", `{}{}`, ErrTrailing, 2},
		{"a bracket too many", `{"model":"a"}}`, ErrTrailing, 13},
		{"an open brace", `{`, ErrUnterminated, 1},
		{"no closing brace", `{"model":"a"`, ErrUnterminated, 12},
		{"nothing after a comma", `{"model":"a",`, ErrUnterminated, 13},
		{"a key alone", `{"model"`, ErrUnterminated, 8},
		{"nothing after a colon", `{"model": `, ErrUnterminated, 10},
		{"an open key", `{"mod`, ErrUnterminated, 1},
		{"an open string", `{"model":"a}`, ErrUnterminated, 9},
		{"a string that ends in a backslash", `{"model":"a\"}`, ErrUnterminated, 9},
		{"a lone backslash at the end", `{"model":"a\`, ErrUnterminated, 9},
		{"an open number", `{"n":1`, ErrUnterminated, 6},
		{"an open array", `{"x":[1,2}`, ErrSyntax, 9},
		{"an open object", `{"x":{"y":1`, ErrUnterminated, 5},
		{"an open string deeper down", `{"x":["y]}`, ErrUnterminated, 6},
		{"brackets of two kinds", `{"x":{"y":[1}]}`, ErrSyntax, 12},
		{"a trailing comma", `{"x":1,}`, ErrSyntax, 7},
		{"a leading comma", `{,"x":1}`, ErrSyntax, 1},
		{"no comma", `{"x":1 "model":"a"}`, ErrSyntax, 7},
		{"no colon", `{"x" 1}`, ErrSyntax, 5},
		{"no value", `{"x":,"y":1}`, ErrSyntax, 5},
		{"a key without quotes", `{model:"a"}`, ErrSyntax, 1},
		{"single quotes", `{'model':"a"}`, ErrSyntax, 1},
		{"a comment", `{/**/"model":"a"}`, ErrSyntax, 1},
		{"an escape that JSON lacks in a key", `{"\model":"a"}`, ErrSyntax, 1},
		{"two models", `{"model":"a","model":"a"}`, ErrModelTwice, 13},
		{"two models around a prompt", `{"model":"a","messages":[{"x":"y"}],"model":"b"}`, ErrModelTwice, 36},
		{"a second model in escapes", `{"model":"a","mod\u0065l":"b"}`, ErrModelTwice, 13},
		{"a first model in escapes", `{"\u006d\u006F\u0064\u0065\u006c":"a","model":"b"}`, ErrModelTwice, 38},
		{"an empty model and another", `{"model":"","model":"b"}`, ErrModelTwice, 12},
		{"Model", `{"model":"a","Model":"b"}`, ErrModelKey, 13},
		{"MODEL alone", `{"MODEL":"b"}`, ErrModelKey, 1},
		{"Model in escapes", `{"\u004dodel":"b"}`, ErrModelKey, 1},
		{"a model that is a number", `{"model":1}`, ErrModelType, 9},
		{"a model that is null", `{"model":null}`, ErrModelType, 9},
		{"a model that is a list", `{"model":["a"]}`, ErrModelType, 9},
		{"a raw control character", "{\"model\":\"a\nb\"}", ErrModelText, 9},
		{"a NUL in the model", "{\"model\":\"a\x00\"}", ErrModelText, 9},
		{"an escaped control character", `{"model":"a\n"}`, ErrModelText, 9},
		{"a C1 control character", `{"model":"a\u0085"}`, ErrModelText, 9},
		{"invalid UTF-8", "{\"model\":\"a\xff\"}", ErrModelText, 9},
		{"half a surrogate pair", `{"model":"\ud800"}`, ErrModelText, 9},
		{"two high surrogates", `{"model":"\ud800\ud800"}`, ErrModelText, 9},
		{"a low surrogate alone", `{"model":"\udc00x"}`, ErrModelText, 9},
		{"half a surrogate pair and text", `{"model":"\ud800xxdc00"}`, ErrModelText, 9},
		{"an escape that JSON lacks", `{"model":"\x41"}`, ErrModelText, 9},
		{"an escape cut short", `{"model":"\u00"}`, ErrModelText, 9},
		{"an escape of no digits", `{"model":"\u00zz"}`, ErrModelText, 9},
		{"a long model", `{"model":"` + strings.Repeat("a", MaxModelLen+1) + `"}`, ErrModelLong, 9},
		{"a long model in escapes", `{"model":"` + strings.Repeat(`\u0061`, MaxModelLen+1) + `"}`, ErrModelLong, 9},
		{"two streams", `{"stream":true,"stream":true}`, ErrStreamTwice, 15},
		{"a null stream and another", `{"stream":null,"stream":true}`, ErrStreamTwice, 15},
		{"Stream", `{"Stream":true}`, ErrStreamKey, 1},
		{"a stream with a long s", `{"ſtream":true}`, ErrStreamKey, 1},
		{"a stream with a long s in escapes", `{"\u017ftream":true}`, ErrStreamKey, 1},
		{"a stream that is a string", `{"stream":"true"}`, ErrStreamType, 10},
		{"a stream that is a number", `{"stream":1}`, ErrStreamType, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := ScanJSON([]byte(tt.body))
			var at *ScanError
			if !errors.As(err, &at) || !errors.Is(err, tt.want) || at.Offset != tt.offset {
				t.Errorf("%.80s: got %v, want %v at byte %d", tt.body, err, tt.want, tt.offset)
			}
			if f != newFacts() {
				t.Errorf("%.80s: got facts %+v of a refused body, want none", tt.body, f)
			}
		})
	}
}

func TestScanJSONOutputLimit(t *testing.T) {
	for _, tt := range []struct {
		body string
		want int
	}{
		{`{"max_tokens":3,"max_completion_tokens":1,"max_output_tokens":2,"options":{"num_predict":4}}`, 1},
		{`{"options":{"num_predict":4},"max_tokens":3,"max_output_tokens":2}`, 2},
		{`{"max_tokens":3,"options":{"num_predict":4}}`, 3},
		{`{"options":{"x":{"num_predict":5},"num_predict": 4 }}`, 4},
		{`{"max_completion_tokens":null,"max_tokens":3}`, 3},
		{`{"max_completion_tokens":0,"max_tokens":3}`, 3},
		{`{"max_\u0074okens":3}`, 3},
		{`{"max_tokens":1,"max_tokens":2}`, 2},
		{`{"options":{"num_predict":-1}}`, 0},
		{`{"options":[{"num_predict":4}]}`, 0},
		{`{"options":{3}}`, 0},
		{`{"options":null}`, 0},
		{`{"max_tokens":-5}`, 0},
		{`{"max_tokens":"5"}`, 0},
		{`{"max_tokens":true}`, 0},
		{`{"max_tokens":NaN}`, 0},
		{`{"max_tokens":Infinity}`, 0},
		{`{"max_tokens":0x10}`, 0},
		{`{"max_tokens":1.e}`, 0},
		{`{"max_tokens":12.9}`, 12},
		{`{"max_tokens":1e3}`, 1000},
		{`{"max_tokens":5E-1}`, 0},
		{`{"max_tokens":2147483647}`, maxCount},
		{`{"max_tokens":2147483648}`, maxCount},
		{`{"max_tokens":1e999}`, maxCount},
		{`{"max_tokens":1.` + strings.Repeat("0", 100) + `}`, maxCount},
		{`{"max_tokens":` + strings.Repeat("9", 1000) + `}`, maxCount},
	} {
		if f, err := ScanJSON([]byte(tt.body)); err != nil || f.MaxOutput != tt.want {
			t.Errorf("%.80s: got %d, %v, want %d", tt.body, f.MaxOutput, err, tt.want)
		}
	}
}

func TestScanJSONChoices(t *testing.T) {
	for body, want := range map[string]int{
		`{}`: 1, `{"n":0}`: 1, `{"n":-3}`: 1, `{"n":null}`: 1, `{"n":"4"}`: 1, `{"n":4}`: 4, `{"n":1e20}`: maxCount,
	} {
		if f, err := ScanJSON([]byte(body)); err != nil || f.Choices != want {
			t.Errorf("%s: got %d, %v, want %d", body, f.Choices, err, want)
		}
	}
}

func TestScanJSONHugeHostileBodies(t *testing.T) {
	const size = 10 << 20
	deep := strings.Repeat("[", size)
	for _, tt := range []struct {
		name, body string
		want       error
	}{
		{"deep nesting that never closes", `{"x":` + deep, ErrUnterminated},
		{"deep nesting that closes", `{"x":` + deep + strings.Repeat("]", size) + `}`, nil},
		{"deep nesting that closes once too often", `{"x":` + deep + strings.Repeat("]", size+1) + `}`, ErrSyntax},
		{"brackets alone", deep, ErrNotObject},
		{"quotes", `{"x":"` + strings.Repeat(`\"`, size/2) + `"}`, nil},
		{"backslashes", `{"x":"` + strings.Repeat(`\`, size) + `"}`, nil},
		{"an odd number of backslashes", `{"x":"` + strings.Repeat(`\`, size+1) + `"}`, ErrUnterminated},
		{"an open string", `{"x":"` + strings.Repeat(`a`, size), ErrUnterminated},
		{"white space", `{` + strings.Repeat(" ", size) + `}`, nil},
		{"NUL bytes in a string", `{"x":"` + strings.Repeat("\x00", size) + `"}`, nil},
		{"a key of escapes", `{"` + strings.Repeat(`\u006d`, size/6) + `":1}`, nil},
		{"a model of escapes", `{"model":"` + strings.Repeat(`\u006d`, size/6) + `"}`, ErrModelLong},
		{"many members", `{"x":1` + strings.Repeat(`,"x":1`, size/6) + `}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ScanJSON([]byte(tt.body)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// A cut anywhere leaves a body that is refused, and that is not read past its end.
func TestScanJSONEveryPrefixIsRefused(t *testing.T) {
	body := []byte(`{"model":"a\u0062","x":[1,{"y":"\\\""},-2.5e3],"stream":true,"options":{"num_predict":3},"n":2}`)
	for i := range body {
		if _, err := ScanJSON(bytes.Clone(body[:i:i])); err == nil {
			t.Errorf("%s: got no error, want one", body[:i])
		}
	}
}

func TestSkipNestedForgetsKindsBeyondItsLimit(t *testing.T) {
	for _, tt := range []struct {
		depth int
		want  error
	}{{maxKinds, ErrSyntax}, {maxKinds + 1, nil}} {
		body := strings.Repeat("[", tt.depth-1) + "{]" + strings.Repeat("]", tt.depth-1)
		if _, err := skipNested([]byte(body), 0); err != tt.want {
			t.Errorf("mismatch at level %d: got %v, want %v", tt.depth, err, tt.want)
		}
	}
}

func TestHasMark(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			w := uint64(c) << (8 * at)
			want := strings.ContainsRune("\"[]{}", rune(c))
			falseAlarm := strings.ContainsRune("Y_y\x7f", rune(c))
			if got := hasMark(w); got != want && !falseAlarm {
				t.Errorf("byte %#x at %d: got %v, want %v", c, at, got, want)
			}
		}
	}
}

func TestPromptTokens(t *testing.T) {
	for bytes, want := range map[int]int{0: 0, 1: 1, 4: 1, 5: 2, 1 << 62: 1 << 60} {
		f := Facts{PromptBytes: bytes}
		if got := f.PromptTokens(); got != want {
			t.Errorf("%d bytes: got %d tokens, want %d", bytes, got, want)
		}
	}
}

func TestScanErrorNamesFieldAndPlace(t *testing.T) {
	for body, want := range map[string][2]string{
		`{"model":1}`:  {"model", `"model" is not a string (at byte 9)`},
		`{"stream":1}`: {"stream", `"stream" is not a boolean (at byte 10)`},
		`[]`:           {"", `the request body is not a JSON object (at byte 0)`},
	} {
		_, err := ScanJSON([]byte(body))
		var at *ScanError
		if !errors.As(err, &at) {
			t.Fatalf("%s: got %T, want a *ScanError", body, err)
		}
		if got := [2]string{at.Param(), at.Error()}; got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

func TestScanJSONAllocatesOnlyTheModel(t *testing.T) {
	body := append(chatBody(32<<10, true), ' ')
	for name, tt := range map[string]struct {
		body []byte
		want float64
	}{
		"with a model":    {body, 1},
		"without a model": {[]byte(`{"messages":[{"role":"user"}],"\u006eone":1,"max_tokens":1.5e2}`), 0},
	} {
		if got := testing.AllocsPerRun(100, func() {
			if _, err := ScanJSON(tt.body); err != nil {
				t.Fatal(err)
			}
		}); got != tt.want {
			t.Errorf("%s: got %v allocations, want %v", name, got, tt.want)
		}
	}
}

func TestTruncates(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: false, `{"truncation":"auto"}`: true, `{"truncation":"disabled"}`: false, `{"truncate_prompt_tokens":-1}`: true, `{"truncate_prompt_tokens":null}`: false,
		`{"truncate":true}`: true, `{"truncate":false}`: false, `{"truncate":"END"}`: true, `{"truncate":"NONE"}`: false, `{"truncation":"auto","truncate":false}`: true,
	} {
		if f, err := ScanJSON([]byte(body)); err != nil || f.Truncates != want {
			t.Errorf("%s: got %t, %v, want %t", body, f.Truncates, err, want)
		}
	}
}
