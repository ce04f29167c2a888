package prices

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// The figures are made up.
const published = `{
    "sample_spec": {
        "input_cost_per_token": 0.0,
        "max_input_tokens": "max input tokens, if the provider specifies it",
        "mode": "one of: chat, embedding",
        "supported_regions": ["global"]
    },
    "duck-1": {
        "cache_read_input_token_cost": 3e-07,
        "input_cost_per_token": 3e-06,
        "input_cost_per_token_above_200k_tokens": 6e-06,
        "litellm_provider": "pond",
        "max_input_tokens": 200000,
        "max_output_tokens": 64000,
        "max_tokens": 64000,
        "mode": "chat",
        "output_cost_per_token": 1.5E-5,
        "search_context_cost_per_query": {"search_context_size_high": 0.01},
        "supports_vision": true
    },
    "pond/duck-1": {"input_cost_per_token": 4e-06, "output_cost_per_token": 0},
    "pond/swan": {"input_cost_per_token": "0.0000011", "output_cost_per_token": 0.0000022, "max_input_tokens": "8192"},
    "lake/swan": {"input_cost_per_token": 1.1e-06, "output_cost_per_token": 2.2e-06, "max_input_tokens": 8192.0},
    "pond/goose": {"input_cost_per_token": 1e-06},
    "lake/goose": {"input_cost_per_token": 2e-06},
    "lake/pond/heron": {"output_cost_per_token": 1e-06},
    "free": {"input_cost_per_token": 0, "output_cost_per_token": 0, "max_input_tokens": null},
    "painter": {"output_cost_per_image": 0.04, "max_input_tokens": 77},
    "nothing": {},
    "null": null
}`

func TestLookup(t *testing.T) {
	table, err := Parse([]byte(published))
	if err != nil {
		t.Fatal(err)
	}
	duck := Model{Price: selection.Price{Input: 3, Output: 15, Saved: 2.7}, Priced: true, MaxInput: 200000, MaxOutput: 64000}
	swan := Model{Price: selection.Price{Input: 1.1, Output: 2.2}, Priced: true, MaxInput: 8192}
	for _, test := range []struct {
		name, model string
		want        Model
		ok          bool
	}{
		{"as it stands", "duck-1", duck, true},
		{"with its provider", "pond/duck-1", Model{Price: selection.Price{Input: 4}, Priced: true}, true},
		{"of a provider that the table does not know", "sea/duck-1", duck, true},
		{"of a provider of providers", "lake/pond/heron", Model{Price: selection.Price{Output: 1}, Priced: true}, true},
		{"without its provider", "pond/heron", Model{}, false},
		{"numbers written as texts", "pond/swan", swan, true},
		{"of several providers at the same price", "swan", swan, true},
		{"of several at prices of their own", "goose", Model{}, false},
		{"a price of nothing is one", "free", Model{Priced: true}, true},
		{"what is not paid for by the token", "painter", Model{MaxInput: 77}, true},
		{"nothing is said", "nothing", Model{}, true},
		{"null", "null", Model{}, false},
		{"the sample", "sample_spec", Model{}, false},
		{"unknown", "eagle", Model{}, false},
		{"no name", "", Model{}, false},
		{"another case", "Duck-1", Model{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := table.Lookup(test.model)
			if got.Price = rounded(got.Price); got != test.want || ok != test.ok {
				t.Errorf("got %+v, %t; want %+v, %t", got, ok, test.want, test.ok)
			}
		})
	}
	t.Run("no table", func(t *testing.T) {
		if got, ok := (*Table)(nil).Lookup("duck-1"); ok {
			t.Errorf("got %+v, want nothing", got)
		}
	})
}

func rounded(p selection.Price) selection.Price {
	p.Saved = selection.RoundCost(p.Saved)
	return p
}

func TestBrokenTables(t *testing.T) {
	const before = "{\n\"fine\": {\"input_cost_per_token\": 1e-6},\n"
	for _, test := range []struct{ name, file, want string }{
		{"empty", "", "1: the file is empty; expected a JSON object of models"},
		{"a list", "[]", "1: expected a JSON object of models"},
		{"a text", `"prices"`, "1: expected a JSON object of models"},
		{"YAML", "duck: 1", "1: invalid character"},
		{"cut within an entry", before + `"duck": {"input_cost`, "3: unexpected EOF"},
		{"cut between entries", before, "3: unexpected EOF"},
		{"cut within the sample", `{"sample_spec": {`, "1: unexpected EOF"},
		{"a comma too much", before + "\n\"duck\": {},\n}", "5: invalid character"},
		{"more than one value", "{}\n{}", "the file goes on after the JSON object"},
		{"an entry that is no object", before + `"duck": 3}`, `3: model "duck": expected a JSON object`},
		{"a negative price", before + "\n\n" + `"duck": {` + "\n" + `"output_cost_per_token": -1e-06}}`, `5: model "duck": output_cost_per_token is negative: -1e-06`},
		{"no number", before + `"duck": {"input_cost_per_token": "cheap"}}`, `3: model "duck": input_cost_per_token: expected a number, got cheap`},
		{"not a number", before + `"duck": {"input_cost_per_token": "NaN"}}`, `input_cost_per_token: expected a number, got NaN`},
		{"infinite", before + `"duck": {"input_cost_per_token": "Infinity"}}`, `input_cost_per_token is too large: Infinity`},
		{"a huge price", before + `"duck": {"cache_read_input_token_cost": 1e7}}`, `cache_read_input_token_cost is too large: 1e7`},
		{"beyond all numbers", before + `"duck": {"input_cost_per_token": 1e999}}`, `input_cost_per_token is too large: 1e999`},
		{"a flag", before + `"duck": {"max_input_tokens": true}}`, `max_input_tokens: expected a number, got true`},
		{"a list of numbers", before + `"duck": {"max_output_tokens": [1]}}`, `max_output_tokens: expected a number, got [1]`},
		{"a negative window", before + `"duck": {"max_input_tokens": -1}}`, `max_input_tokens is negative: -1`},
		{"a huge window", before + `"duck": {"max_input_tokens": 1e10}}`, `max_input_tokens is too large: 1e10`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	t.Run("a table", func(t *testing.T) {
		table, err := ReadFile(write("good.json", published))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := table.Lookup("duck-1"); !ok {
			t.Error("the model is not in it")
		}
	})
	large := write("large.json", "")
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, file, want string }{
		{"missing", filepath.Join(dir, "missing.json"), "stat " + filepath.Join(dir, "missing.json") + ": no such file"},
		{"a directory", dir, dir + ": not a regular file"},
		{"broken", write("bad.json", "{\n\"duck\": 1}"), `bad.json:2: model "duck": expected a JSON object`},
		{"too large", large, "large.json: the file is larger than 67108864 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ReadFile(test.file); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// Whatever is in a file, no model costs less than nothing or more than anything.
func FuzzParse(f *testing.F) {
	f.Add([]byte(published))
	f.Add([]byte(`{"a/b":{"input_cost_per_token":"1e-6"},"c/b":{"max_input_tokens":1.5}}`))
	f.Add([]byte(`{"a":{"cache_read_input_token_cost":5,"input_cost_per_token":1}} x`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Parse(data)
		if err != nil {
			if line, _, ok := strings.Cut(err.Error(), ":"); !ok || line == "" || line[0] < '1' || line[0] > '9' {
				t.Errorf("got the error %q, want it to begin with a line", err)
			}
			return
		}
		for name, model := range table.models {
			p := &model.Price
			for _, cost := range []float64{p.Cost(1, 0, 0), p.Cost(1, 1, 0), p.Cost(0, 0, 1)} {
				if !(cost >= -1e-6) || cost > maxPrice*1.001 {
					t.Errorf("%q: a token costs %v", name, cost)
				}
			}
			if model.MaxInput < 0 || model.MaxOutput < 0 || model.MaxInput > maxTokens || model.MaxOutput > maxTokens {
				t.Errorf("%q: got %+v", name, model)
			}
			if _, ok := table.Lookup(name); !ok {
				t.Errorf("%q is not found", name)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	table, err := Parse([]byte(published))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		table.Lookup("sea/duck-1")
	}
}
