package usage

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"testing"
)

// whole is a number that Read believes, if it is not too large.
var whole = regexp.MustCompile(`^[0-9]+(\.0+)?$`)

// expected is what a field ought to be after values, as encoding/json sees them.
func expected(values []json.RawMessage) (f field) {
	for _, v := range values {
		n, err := strconv.ParseFloat(string(v), 64)
		switch {
		case string(v) == "null":
		case whole.Match(v) && err == nil && n <= MaxTokens:
			f = field{int64(n), said}
		default:
			f = field{state: invalid}
		}
	}
	return f
}

// decode gathers the members of a JSON object by their keys; those of details
// count as its own. ok is false for anything else, and for keys with escapes.
func decode(object []byte, into map[string][]json.RawMessage, details bool) (ok bool) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return false
		}
		if details && hasDetails([]byte(key.(string))) && raw[0] == '{' {
			decode(raw, into, false)
			continue
		}
		into[key.(string)] = append(into[key.(string)], raw)
	}
	return true
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		object, `{"input_tokens":1,"cache_read_input_tokens":null,"output_tokens":2.0,"input_tokens":3}`,
		`{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":7,"x":[{"cached_tokens":1}]},"total_tokens":1e2}`,
		`{"prompt_eval_count":2147483648,"eval_count":2147483649,"reasoning_tokens":-0}`, `{"billed_units":{"input_tokens":"}"}}`,
		`[1]`, `[`, `{`, `{"usage":`, `null`, "{\"prompt_tokens\":\xff}", `{"prompt_tokens_details":{"prompt_tokens_details":{"total_tokens":1}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, object []byte) {
		var a Account
		a.Read(object)
		u, nonsense := a.Usage()
		checkUsage(t, u, nonsense)
		members := make(map[string][]json.RawMessage)
		if !json.Valid(object) || bytes.IndexByte(object, '\\') >= 0 || !decode(object, members, true) {
			return
		}
		for _, key := range []string{
			"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens", "reasoning_tokens",
			"cache_creation_input_tokens", "cache_read_input_tokens", "prompt_eval_count", "eval_count",
		} {
			if got, want := *a.field([]byte(key)), expected(members[key]); got != want {
				t.Errorf("%s of %s: got %+v, want %+v", key, object, got, want)
			}
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"usage":` + object + `}`, `{"meta":{"billed_units":{"input_tokens":1}},"usage":null}`, `{"prompt_eval_count":1}`,
		`{"a":"\"usage\":{}","usage":{"total_tokens":1}`, `{"usage":{"usage":{}}}`, `"usage":{}}`, `,"usage":[}`, "",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, answer []byte, size int) {
		var exact, head, end Account
		exact.readTop(answer)
		u, nonsense := exact.Usage()
		checkUsage(t, u, nonsense)
		head.ReadHead(answer)
		checkUsage(t, u, nonsense)
		var tail Tail
		for rest := answer; len(rest) > 0; {
			n := min(max(size, 1), len(rest))
			tail.Write(rest[:n]) //nolint:errcheck // it never fails
			rest = rest[n:]
		}
		// The end gives what the whole does, where it gives anything.
		if found := end.ReadTail(&tail); found && json.Valid(answer) && len(answer) <= tailSize &&
			bytes.Count(answer, []byte(`"usage"`)) == 1 && !bytes.Contains(answer, []byte(`_count"`)) && !bytes.Contains(answer, []byte(`"meta"`)) && end != exact {
			t.Errorf("%s: got %+v from the end, want %+v", answer, end, exact)
		}
	})
}

func checkUsage(t *testing.T, u Usage, nonsense bool) {
	t.Helper()
	if nonsense && u != (Usage{}) {
		t.Errorf("got %+v of nonsense, want nothing", u)
	}
	for _, n := range []int64{u.Input, u.Output, u.Cached, u.Reasoning} {
		if n < 0 || n > 4*MaxTokens {
			t.Errorf("got %+v, want numbers from 0 to %d", u, int64(4*MaxTokens))
		}
	}
	if u.Cached > u.Input || u.Reasoning > u.Output {
		t.Errorf("got %+v, want no part above the whole", u)
	}
}
