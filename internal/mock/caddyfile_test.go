package mock

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// adapted is the JSON of a Caddyfile block, and the error if there is one.
func adapted(block string) (string, error) {
	tr := new(Transport)
	if err := tr.UnmarshalCaddyfile(caddyfile.NewTestDispenser(block)); err != nil {
		return "", err
	}
	return string(marshal(tr)), nil
}

func TestCaddyfile(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", "llm_mock", `{}`},
		{"empty block", "llm_mock {\n}", `{}`},
		{"response", "llm_mock {\n response \"Hi there\"\n}", `{"response":"Hi there"}`},
		{"error", "llm_mock {\n error 429 rate_limit\n}", `{"error":{"status":429,"class":"rate_limit"}}`},
		{
			"error with a message", "llm_mock {\n error 429 rate_limit \"slow down\"\n}",
			`{"error":{"status":429,"class":"rate_limit","message":"slow down"}}`,
		},
		{
			"delays", "llm_mock {\n latency 1s\n first_token 200ms\n interval 10ms\n}",
			`{"latency":1000000000,"first_token":200000000,"interval":10000000}`,
		},
		{"tokens", "llm_mock {\n tokens 20\n}", `{"tokens":20}`},
		{"fail_first", "llm_mock {\n fail_first 0\n}", `{"fail_first":0}`},
		{"fail_rate", "llm_mock {\n fail_rate 12.5\n}", `{"fail_rate":12.5}`},
		{"fail_rate with a sign", "llm_mock {\n fail_rate 30%\n}", `{"fail_rate":30}`},
		{
			"all at once", "llm_mock {\n response x\n error 500 server_error\n latency 1ns\n first_token 2ns\n" +
				" interval 3ns\n tokens 4\n fail_first 5\n fail_rate 0\n}",
			`{"response":"x","error":{"status":500,"class":"server_error"},"latency":1,"first_token":2,"interval":3,` +
				`"tokens":4,"fail_first":5,"fail_rate":0}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := adapted(tt.in)
			if err != nil || got != tt.want {
				t.Fatalf("got %s, %v; want %s", got, err, tt.want)
			}
			// What Caddy does next: the JSON is all that is left of the Caddyfile.
			tr := new(Transport)
			if err := json.Unmarshal([]byte(got), tr); err != nil {
				t.Fatal(err)
			}
			if err := tr.Validate(); err != nil {
				t.Error(err)
			}
			if again := marshal(tr); !bytes.Equal(again, []byte(got)) {
				t.Errorf("got %s after a round trip, want %s", again, got)
			}
		})
	}
}

func TestCaddyfileErrors(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"argument", "llm_mock hello", "llm_mock takes no arguments, got 'hello'"},
		{"unknown", "llm_mock {\n delay 1s\n}", "unrecognized llm_mock subdirective 'delay'; expected response, error,"},
		{"twice", "llm_mock {\n latency 1s\n latency 2s\n}", "latency is set twice"},
		{"nested block", "llm_mock {\n latency 1s {\n x\n }\n}", "latency takes no block"},
		{"response without a text", "llm_mock {\n response\n}", "response: expected one text"},
		{"response without quotes", "llm_mock {\n response Hi there\n}", "in quotes if it has spaces, got 2 arguments"},
		{"error without a class", "llm_mock {\n error 500\n}", "error: expected <status> <class> [<message>]"},
		{"error with too much", "llm_mock {\n error 500 server_error a b\n}", "got 4 arguments"},
		{"error status not a number", "llm_mock {\n error x server_error\n}", "error: expected a status from 400 to 599, got 'x'"},
		{"error status too low", "llm_mock {\n error 200 server_error\n}", "error: expected a status from 400 to 599, got 200"},
		{"error status too high", "llm_mock {\n error 600 server_error\n}", "error: expected a status from 400 to 599, got 600"},
		{"error class unknown", "llm_mock {\n error 500 oops\n}", "error: unknown class 'oops'; expected one of connection, timeout, rate_limit,"},
		{"error class not configurable", "llm_mock {\n error 500 canceled\n}", "error: unknown class 'canceled'"},
		{"latency without a value", "llm_mock {\n latency\n}", "latency: expected one duration such as 200ms, got 0 arguments"},
		{"latency without a unit", "llm_mock {\n latency 5\n}", "latency: expected a duration such as 200ms, got '5'"},
		{"latency negative", "llm_mock {\n latency -1s\n}", "latency: expected a duration of 0 or more, got -1s"},
		{"first_token wrong", "llm_mock {\n first_token x\n}", "first_token: expected a duration such as 200ms, got 'x'"},
		{"first_token negative", "llm_mock {\n first_token -1s\n}", "first_token: expected a duration of 0 or more"},
		{"interval wrong", "llm_mock {\n interval 1s 2s\n}", "interval: expected one duration such as 200ms, got 2 arguments"},
		{"interval negative", "llm_mock {\n interval -1ms\n}", "interval: expected a duration of 0 or more, got -1ms"},
		{"tokens without a value", "llm_mock {\n tokens\n}", "tokens: expected one number, got 0 arguments"},
		{"tokens not a number", "llm_mock {\n tokens many\n}", "tokens: expected a number, got 'many'"},
		{"tokens too low", "llm_mock {\n tokens 0\n}", "tokens: expected a number from 1 to 1000000, got 0"},
		{"tokens too high", "llm_mock {\n tokens 1000001\n}", "tokens: expected a number from 1 to 1000000, got 1000001"},
		{"fail_first not a number", "llm_mock {\n fail_first 1.5\n}", "fail_first: expected a number, got '1.5'"},
		{"fail_first negative", "llm_mock {\n fail_first -1\n}", "fail_first: expected a number of requests, 0 or more, got -1"},
		{"fail_rate without a value", "llm_mock {\n fail_rate\n}", "fail_rate: expected one percentage from 0 to 100, got 0 arguments"},
		{"fail_rate not a number", "llm_mock {\n fail_rate half\n}", "fail_rate: expected a percentage from 0 to 100, got 'half'"},
		{"fail_rate too high", "llm_mock {\n fail_rate 101%\n}", "fail_rate: expected a percentage from 0 to 100, got 101"},
		{"fail_rate negative", "llm_mock {\n fail_rate -1\n}", "fail_rate: expected a percentage from 0 to 100, got -1"},
		{"fail_rate not finite", "llm_mock {\n fail_rate NaN\n}", "fail_rate: expected a percentage from 0 to 100, got NaN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := adapted(tt.in)
			if err == nil {
				t.Fatalf("got %s, want an error that says %q", got, tt.want)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %q, want one that says %q", err, tt.want)
			}
			if !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("got error %q, want one with a file and line", err)
			}
		})
	}
}

// JSON does not pass through the Caddyfile's checks.
func TestValidate(t *testing.T) {
	for config, want := range map[string]string{
		`{"latency":-1}`:           "latency: ",
		`{"tokens":0}`:             "tokens: ",
		`{"fail_first":-1}`:        "fail_first: ",
		`{"fail_rate":100.5}`:      "fail_rate: ",
		`{"error":{}}`:             "error: expected a status",
		`{"error":{"status":500}}`: "error: unknown class ''",
	} {
		tr := new(Transport)
		if err := json.Unmarshal([]byte(config), tr); err != nil {
			t.Fatal(err)
		}
		if err := tr.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want one that says %q", config, err, want)
		}
	}
}

func TestEveryOptionHasAJSONName(t *testing.T) {
	for f := range reflect.TypeFor[Transport]().Fields() {
		if f.IsExported() && !strings.HasSuffix(f.Tag.Get("json"), ",omitempty") {
			t.Errorf("field %s has the json tag %q", f.Name, f.Tag.Get("json"))
		}
	}
}
