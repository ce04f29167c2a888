package apireq

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestReadHeader(t *testing.T) {
	all := http.Header{
		"X-Litellm-Num-Retries": {"4"}, "X-Litellm-Timeout": {" 1.5 "}, "X-Litellm-Stream-Timeout": {"2"}, "X-Litellm-Tags": {"a, ,b,"},
	}
	tests := map[string]struct {
		header  http.Header
		allowed OptionSet
		before  Options
		want    Options
	}{
		"all of them": {
			header: all, allowed: allOptions, before: Options{Retries: -1},
			want: Options{Retries: 4, Timeout: 1500 * time.Millisecond, StreamTimeout: 2 * time.Second, Tags: []string{"a", "b"}},
		},
		"none is allowed": {header: all, before: Options{Retries: -1}, want: Options{Retries: -1}},
		"the others are": {
			header: all, allowed: OptionFallbacks | OptionMockTesting, before: Options{Retries: -1}, want: Options{Retries: -1},
		},
		"the body's hold, and tags add up": {
			header: all, allowed: allOptions,
			before: Options{Retries: 0, Timeout: time.Second, StreamTimeout: time.Second, Tags: []string{"x"}},
			want:   Options{Retries: 0, Timeout: time.Second, StreamTimeout: time.Second, Tags: []string{"x", "a", "b"}},
		},
		"no values": {
			header: http.Header{
				"X-Litellm-Num-Retries": {"-1"}, "X-Litellm-Timeout": {"NaN"}, "X-Litellm-Stream-Timeout": {"0"}, "X-Litellm-Tags": {" , "},
			},
			allowed: allOptions, before: Options{Retries: -1}, want: Options{Retries: -1},
		},
		"more than is good": {
			header:  http.Header{"X-Litellm-Num-Retries": {"1000000"}, "X-Litellm-Tags": {strings.Repeat("x,", 100)}},
			allowed: allOptions, before: Options{Retries: -1},
			want: Options{Retries: maxOptionList, Tags: strings.Split(strings.Repeat("x,", maxOptionList-1)+"x", ",")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.before
			got.ReadHeader(test.header, test.allowed)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestOptionErrorNamesTheField(t *testing.T) {
	_, _, err := TakeOptions([]byte(`{"model":"a","num_retries":true}`), allOptions, "a")
	option, ok := errors.AsType[*OptionError](err)
	if !ok || option.Field != "num_retries" || !strings.HasPrefix(err.Error(), `"num_retries" is`) {
		t.Errorf("got error %v, want an OptionError of num_retries", err)
	}
}

func TestModelListGoesByEveryName(t *testing.T) {
	for body, want := range map[string][]string{
		`{"fallbacks":[{"alias":["b"]}]}`:                      {"b"},
		`{"fallbacks":[{"pool":["b"]}]}`:                       {"b"},
		`{"fallbacks":[{"*":["c"]},{"pool":["b"]}]}`:           {"b"},
		`{"fallbacks":[{"*":["c"]},{"other":["b"]}]}`:          {"c"},
		`{"fallbacks":["d",{"alias":["b"]},{"pool":["e"]}]}`:   {"d", "b", "e"},
		`{"fallbacks":[{"model":["b"]}]}`:                      {},
		`{"fallbacks": [ { "pool" : [ "b" ] } , "\u0063" ] }`:  {"b", "c"},
		`{"tags":["x"],"metadata":{"tags":[]},"fallbacks":[]}`: {},
	} {
		options, _, err := TakeOptions([]byte(body), OptionFallbacks, "alias", "pool")
		if err != nil || !reflect.DeepEqual(options.Fallbacks, want) || !options.FallbacksSet {
			t.Errorf("%s: got %q (set %v), %v; want %q", body, options.Fallbacks, options.FallbacksSet, err, want)
		}
	}
}
