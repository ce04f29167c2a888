package apireq

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

const allOptions = OptionFallbacks | OptionRetries | OptionTimeout | OptionTags | OptionMockTesting | OptionPriority | OptionRegion | OptionCache

func TestTakeOptions(t *testing.T) {
	tests := map[string]struct {
		body, rest string
		allowed    OptionSet
		want       Options
	}{
		"nothing to take": {
			body: `{"model":"a", "n":1}`, rest: `{"model":"a", "n":1}`, allowed: allOptions,
		},
		"not allowed stays": {
			body: `{"model":"a","fallbacks":["b"]}`, rest: `{"model":"a","fallbacks":["b"]}`, allowed: OptionRetries,
		},
		"first": {
			body: `{"fallbacks":["b","c"],"model":"a"}`, rest: `{"model":"a"}`, allowed: allOptions,
			want: Options{Fallbacks: []string{"b", "c"}, FallbacksSet: true},
		},
		"last": {
			body: "{\"model\":\"a\" , \"num_retries\": 3 }", rest: `{"model":"a"  }`, allowed: allOptions,
			want: Options{Retries: 3},
		},
		"the last two": {
			body: `{"model":"a","timeout":1.5,"num_retries":0}`, rest: `{"model":"a"}`, allowed: allOptions,
			want: Options{Timeout: 1500 * time.Millisecond},
		},
		"all there is": {
			body: `{ "num_retries": 1 , "timeout": 2}`, rest: `{ }`, allowed: allOptions,
			want: Options{Retries: 1, Timeout: 2 * time.Second},
		},
		"between others": {
			body: `{"a":1,"mock_testing_fallbacks":true,"b":[{"fallbacks":1}],"disable_fallbacks":true,"c":3}`,
			rest: `{"a":1,"b":[{"fallbacks":1}],"c":3}`, allowed: allOptions,
			want: Options{Mock: MockFailure, DisableFallbacks: true},
		},
		"fallbacks as objects": {
			body: `{"fallbacks":[{"model":"b"},{"a":["c"]},{"other":["d"]},{"*":["e"]}]}`, rest: `{}`, allowed: allOptions,
			want: Options{Fallbacks: []string{"b", "c"}, FallbacksSet: true},
		},
		"no fallbacks at all": {
			body: `{"fallbacks":[]}`, rest: `{}`, allowed: allOptions,
			want: Options{Fallbacks: []string{}, FallbacksSet: true},
		},
		"the kinds of fallbacks": {
			body: `{"context_window_fallbacks":[{"a":["b"]}],"content_policy_fallbacks":["c"]}`, rest: `{}`, allowed: allOptions,
			want: Options{ContextWindowFallbacks: []string{"b"}, ContentPolicyFallbacks: []string{"c"}},
		},
		"tags from both places": {
			body: `{"tags":["x"],"metadata":{"tags":["y"],"k":1}}`, rest: `{"metadata":{"tags":["y"],"k":1}}`, allowed: allOptions,
			want: Options{Tags: []string{"x", "y"}},
		},
		"tags from both places, the other way": {
			body: `{"metadata":{"tags":["y"," "]},"tags":[" x ",""]}`, rest: `{"metadata":{"tags":["y"," "]}}`, allowed: allOptions,
			want: Options{Tags: []string{"y", "x"}},
		},
		"null is not set": {
			body: `{"fallbacks":null,"num_retries":null,"stream_timeout":null}`, rest: `{}`, allowed: allOptions,
			want: Options{Retries: -1},
		},
		"stream timeout": {
			body: `{"stream_timeout":3}`, rest: `{}`, allowed: allOptions,
			want: Options{StreamTimeout: 3 * time.Second},
		},
		"a region": {
			body: `{"allowed_model_region":"eu"}`, rest: `{}`, allowed: allOptions,
			want: Options{Region: "eu"},
		},
		"no region": {
			body: `{"allowed_model_region":null}`, rest: `{}`, allowed: allOptions,
		},
		"mock siblings": {
			body: `{"mock_testing_context_window_fallbacks":true,"mock_timeout":false}`, rest: `{}`, allowed: allOptions,
			want: Options{Mock: MockContextWindow},
		},
		"priority": {
			body: `{"model":"a","priority":-1000000}`, rest: `{"model":"a"}`, allowed: allOptions,
			want: Options{Priority: -1_000_000, PrioritySet: true},
		},
		"priority 0": {
			body: `{"priority":0}`, rest: `{}`, allowed: allOptions,
			want: Options{PrioritySet: true},
		},
		"priority null": {
			body: `{"priority":null}`, rest: `{}`, allowed: allOptions,
		},
		"priority twice, where the last holds": {
			body: `{"priority":3,"priority":4}`, rest: `{}`, allowed: allOptions,
			want: Options{Priority: 4, PrioritySet: true},
		},
		"what the cache is to do": {
			body: `{"cache":{"no-cache":true,"no-store":true,"ttl":60,"s-maxage":1.5,"namespace":"n","use-cache":true}}`, rest: `{}`, allowed: allOptions,
			want: Options{Cache: CacheOptions{
				NoCache: true, NoStore: true, TTL: time.Minute, MaxAge: 1500 * time.Millisecond, MaxAgeSet: true, Namespace: "n",
			}},
		},
		"a cache of no time": {
			body: `{"cache":{"ttl":0,"s-maxage":0}}`, rest: `{}`, allowed: allOptions,
			want: Options{Cache: CacheOptions{NoStore: true, MaxAgeSet: true}},
		},
		"nothing of the cache": {
			body: `{"cache":null,"n":1}`, rest: `{"n":1}`, allowed: allOptions,
		},
		"the cache, not allowed": {
			body: `{"cache":{"no-cache":true}}`, rest: `{"cache":{"no-cache":true}}`, allowed: OptionTags,
		},
		"priority taken back": {
			body: `{"priority":3,"priority":null}`, rest: `{}`, allowed: allOptions,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.want.Retries == 0 && !strings.Contains(test.body, "num_retries") || test.rest == test.body {
				test.want.Retries = -1
			}
			options, rest, err := TakeOptions([]byte(test.body), test.allowed, "a")
			if err != nil {
				t.Fatal(err)
			}
			var got, want bytes.Buffer
			if err := errors.Join(json.Compact(&got, rest), json.Compact(&want, []byte(test.rest))); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("rest: got %s, want %s", &got, &want)
			}
			test.want.models = []string{"a"}
			if !reflect.DeepEqual(options, test.want) {
				t.Errorf("options: got %+v, want %+v", options, test.want)
			}
		})
	}
}

func TestTakeOptionsRefusesWrongTypes(t *testing.T) {
	for _, body := range []string{
		`{"fallbacks":"b"}`, `{"fallbacks":[1]}`, `{"fallbacks":[{"model":"b","messages":[]}]}`, `{"fallbacks":[{"a":"b"}]}`,
		`{"fallbacks":[""]}`, `{"fallbacks":[null]}`, `{"fallbacks":[{"model":null}]}`, `{"fallbacks":[{"a":[""]}]}`, `{"fallbacks":["a\u0000"]}`,
		`{"fallbacks":["` + strings.Repeat("x", MaxModelLen+1) + `"]}`, `{"fallbacks":[` + strings.Repeat(`{"a":["x","x"]},`, 20) + `"x"]}`,
		`{"num_retries":"many"}`, `{"num_retries":-1}`, `{"num_retries":1.5}`,
		`{"timeout":0}`, `{"timeout":-1}`, `{"timeout":"5"}`, `{"timeout":1e300}`,
		`{"mock_testing_fallbacks":1}`, `{"tags":"x"}`,
		`{"cache":true}`, `{"cache":{"no-cache":1}}`, `{"cache":{"ttl":-1}}`, `{"cache":{"ttl":"60"}}`, `{"cache":{"s-maxage":[]}}`,
		`{"cache":{"namespace":"` + strings.Repeat("x", maxNamespace+1) + `"}}`,
		`{"priority":"1"}`, `{"priority":1.5}`, `{"priority":1e3}`, `{"priority":true}`, `{"priority":[1]}`,
		`{"priority":1000001}`, `{"priority":-1000001}`, `{"priority":99999999999999999999}`,
		`{"fallbacks":[` + strings.Repeat(`"x",`, maxOptionList) + `"x"]}`,
	} {
		_, rest, err := TakeOptions([]byte(body), allOptions, "a")
		if err == nil {
			t.Errorf("%.60s: got no error and the rest %s", body, rest)
			continue
		}
		if key := strings.Split(body, `"`)[1]; !strings.Contains(err.Error(), key) {
			t.Errorf("%.60s: error %q does not name %s", body, err, key)
		}
	}
}

func FuzzTakeOptions(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"model":"a","fallbacks":["b"],"n":1}`, ` { "num_retries" : 1 , "timeout":2 } `, `{"a":{"fallbacks":1}}`,
		`{"timeout":1,"a":2,"timeout":3}`, `{"tags":[],"metadata":{"tags":["a"]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := ScanJSON(body); err != nil || !json.Valid(body) {
			return
		}
		_, rest, err := TakeOptions(body, allOptions, "a")
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		if err := json.Unmarshal(body, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(rest, &after); err != nil {
			t.Fatalf("%q became %q: %v", body, rest, err)
		}
		o := Options{}
		for key, value := range before {
			if taken, _ := o.take(key, value, allOptions); taken {
				delete(before, key)
			}
		}
		// A key that was escaped, or that came twice, may differ; none may be lost.
		for key := range before {
			if _, ok := after[key]; !ok {
				t.Fatalf("%q became %q: %s is lost", body, rest, key)
			}
		}
	})
}
