package cache

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// formOf is the canonical form of JSON; false where it has none.
func formOf(data []byte) (string, bool) {
	var f form
	f.reset(data)
	err := f.whole()
	return string(f.out), err == nil
}

func TestFormIsTheSame(t *testing.T) {
	for name, texts := range map[string][]string{
		"in any order":            {`{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":3,"c":2},"a":1}`},
		"with any white space":    {`{"a":[1,2]}`, " { \"a\" :\t[ 1 ,\r\n2 ] } "},
		"for numbers as written":  {`[1,10,0,-0.5]`, `[1.0,1e1,-0,-5E-1]`, `[10e-1,1.0E+1,0.00,-0.50]`},
		"for strings as written":  {`"aé😀/"`, `"\u0061\u00e9\ud83d\ude00\/"`},
		"for keys as written":     {`{"a":1}`, `{"\u0061":1}`},
		"for control characters":  {`"\n\t\b\f\r\""`, `"\u000a\u0009\u0008\u000c\u000d\u0022"`},
		"for empty things":        {`{"a":[],"b":{}}`, `{ "b" : { } , "a" : [ ] }`},
		"for numbers of any size": {`[123456789012345678901234567890]`, `[1.2345678901234567890123456789e29]`},
	} {
		t.Run(name, func(t *testing.T) {
			want, ok := formOf([]byte(texts[0]))
			if !ok {
				t.Fatalf("%s has no form, want one", texts[0])
			}
			for _, text := range texts[1:] {
				if got, ok := formOf([]byte(text)); !ok || got != want {
					t.Errorf("%s: got %q (%v), want %q, which is the form of %s", text, got, ok, want, texts[0])
				}
			}
		})
	}
}

func TestFormDiffers(t *testing.T) {
	seen := make(map[string]string)
	for _, text := range []string{
		`{}`, `[]`, `""`, `null`, `true`, `false`, `0`, `1`, `-1`, `10`, `0.1`, `"1"`, `"null"`,
		`[1,2]`, `[2,1]`, `[[1],2]`, `[[1,2]]`, `[12]`, `["1,2"]`, `["1","2"]`, `{"a":1}`, `{"a":"1"}`, `{"b":1}`,
		`{"a":{"b":1}}`, `{"a":1,"b":1}`, `{"a":null}`, `"a"`, `"A"`, `"a "`, `["a","b"]`, `["ab",""]`, `["","ab"]`,
		`9007199254740992`, `9007199254740993`, `"\\u0061"`, `"e\u0301"`, `"\u00e9"`,
	} {
		got, ok := formOf([]byte(text))
		if !ok {
			t.Errorf("%s has no form, want one", text)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the form of %s, want another", text, other)
		}
		seen[got] = text
	}
}

func TestFormOfOddJSON(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":              ``,
		"two values":           `1 2`,
		"a key twice":          `{"a":1,"a":1}`,
		"a key twice, escaped": `{"a":1,"b":2,"\u0061":1}`,
		"a key twice within":   `[{"x":{"a":1,"a":2}}]`,
		"no UTF-8":             "\"\xff\"",
		"half a pair":          `"\ud83d"`,
		"half a pair and text": `"\ud83dabcdef"`,
		"the wrong half":       `"\ude00\ud83d"`,
		"a control character":  "\"12345678\n\"",
		"a raw tab at the end": "\"\t\"",
		"an unknown escape":    `"\x"`,
		"an open string":       `"abc`,
		"an open escape":       `"abc\`,
		"an open object":       `{"a":1`,
		"a comma at the end":   `[1,]`,
		"a comma in an object": `{"a":1,}`,
		"a leading zero":       `01`,
		"a number without end": `1.`,
		"a plus":               `+1`,
		"a bare exponent":      `1e`,
		"an endless exponent":  `1e99999`,
		"no number":            `-`,
		"no value":             `{"a":}`,
		"no colon":             `{"a"1}`,
		"a word":               `nul`,
		"depth":                strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2),
		"size":                 `"` + strings.Repeat("a", maxBody) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := formOf([]byte(text)); ok {
				t.Errorf("got the form %q, want none", got)
			}
		})
	}
}

// Two texts have the same form exactly if encoding/json reads the same in them.
func FuzzForm(f *testing.F) {
	for _, pair := range [][2]string{
		{`{"a":1,"b":[true,null]}`, `{"b":[true,null],"a":1.0}`},
		{`"\u00e9"`, `"é"`}, {`[1e2]`, `[100]`}, {`{"a":1}`, `{"a":2}`}, {`-0`, `0`}, {`"\ud800"`, `"\ufffd"`},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		formA, okA := formOf(a)
		formB, okB := formOf(b)
		if okA && !json.Valid(a) {
			t.Fatalf("%q has a form, and is not valid", a)
		}
		if !okA || !okB {
			return
		}
		if got, want := formA == formB, equal(decoded(t, a), decoded(t, b)); got != want {
			t.Errorf("%q and %q: got the same form: %v, want %v", a, b, got, want)
		}
	})
}

func decoded(t *testing.T, data []byte) (value any) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		t.Fatalf("%q has a form, and cannot be decoded: %v", data, err)
	}
	return value
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			other, ok := b[key]
			if !ok || !equal(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, okX := new(big.Rat).SetString(a.String())
		y, okY := new(big.Rat).SetString(b.String())
		return okX && okY && x.Cmp(y) == 0
	}
	return a == b
}
