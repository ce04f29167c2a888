package retry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// visited lists what walk hands out, without the kinds.
func visited(body string) []string {
	var found []string
	walk([]byte(body), func(_ field, value []byte) { found = append(found, string(value)) })
	return found
}

func TestWalk(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       []string
	}{
		{"nothing", "", nil},
		{"blanks", " \n\t", nil},
		{"a page", "<!DOCTYPE html><title>502</title>", nil},
		{"a sentence", " no healthy upstream\n", []string{"no healthy upstream"}},
		{"an error object", `{"error":{"message":"m","type":"t","param":null,"code":429}}`, []string{"m", "t", "429"}},
		{"an array", `[{"error":{"message":"a"}},{"error":{"message":"b"}}]`, []string{"a", "b"}},
		{"details", `{"error":{"details":[{"reason":"r","metadata":{"message":"m"}},{"retryDelay":"4s"}]}}`, []string{"r", "m", "4s"}},
		{"inner errors", `{"error":{"innererror":{"code":"c","content_filter_result":{"code":"no"}}}}`, []string{"c"}},
		{"a message that is an object", `{"message":{"detail":[{"msg":"m","input":"no"}]}}`, []string{"m"}},
		{"an AWS exception", `{"throttlingException":{"message":"m"}}`, []string{"throttlingException", "m"}},
		{"the response's error alone", `{"type":"response.failed","response":{"instructions":"no","metadata":{"message":"no"},"error":{"message":"m"}}}`, []string{"response.failed", "m"}},
		{"not what stands beside an error", `{"error":{"message":"m"},"metadata":{"message":"no"},"status":"failed"}`, []string{"m", "failed"}},
		{"metadata without an error", `{"message":"m","metadata":{"error_type":"t"}}`, []string{"m", "t"}},
		{"JSON in a string", `{"error":{"message":"{\"error\":{\"message\":\"m\"}}"}}`, []string{"m"}},
		{"JSON behind a sentence", `{"message":"upstream: {\"code\":\"c\"}"}`, []string{"c", "upstream: "}},
		{"braces that are no JSON", `{"message":"use {model} here"}`, []string{"use {model} here"}},
		{"not what a validator quotes", `{"message":"wrong [type=x, input_value='no']"}`, []string{"wrong [type=x, "}},
		{"escapes", `{"message":"a\u0020\"b\""}`, []string{`a "b"`}},
		{"empty and null", `{"message":"","error":null,"code":null}`, nil},
		{"unknown members", `{"input":"no","failed_generation":"no","prompt":"no"}`, nil},
		{"other spellings of names", `{"Error":{"errorMessage":"m","error-code":"c"}}`, []string{"m", "c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := visited(c.body); !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.body, got, c.want)
			}
		})
	}
}

func TestWalkBounds(t *testing.T) {
	t.Run("length of a text", func(t *testing.T) {
		got := visited(`{"message":"` + strings.Repeat("x", 2*maxText) + `"}`)
		if len(got) != 1 || len(got[0]) != maxText {
			t.Errorf("got %d texts, want one of %d bytes", len(got), maxText)
		}
	})
	t.Run("depth", func(t *testing.T) {
		for depth, want := range map[int]int{1: 1, maxDepth - 1: 1, maxDepth: 0, 1000: 0} {
			body := strings.Repeat(`{"error":`, depth) + `"m"` + strings.Repeat("}", depth)
			if got := visited(body); len(got) != want {
				t.Errorf("%d objects deep: got %q, want %d texts", depth, got, want)
			}
		}
	})
	t.Run("JSON in JSON in JSON", func(t *testing.T) {
		body := "m"
		for range 12 {
			body = fmt.Sprintf(`{"message":%s}`, jsonString(body))
		}
		if got := visited(body); len(got) > 1 {
			t.Errorf("got %q, want one text at most", got)
		}
	})
}

// Errors that look like content would end a good stream.
func TestIsError(t *testing.T) {
	for value, want := range map[string]bool{
		``: false, `null`: false, `false`: false, `0`: false, `""`: false, `{}`: false, `[]`: false,
		`"x"`: true, `{"a":1}`: true, `true`: true, `1`: true, `[1]`: true,
	} {
		if got := isError([]byte(value)); got != want {
			t.Errorf("%s: got %v, want %v", value, got, want)
		}
	}
}
