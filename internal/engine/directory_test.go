package engine

import (
	"fmt"
	"testing"
)

func TestDirectory(t *testing.T) {
	var d Directory
	pools := map[string]*Pool{}
	add := func(name string, aliases ...string) {
		pools[name] = newPool(name, deployment("a"))
		if taken, ok := d.Add(pools[name], aliases...); !ok {
			t.Fatalf("%s is taken", taken)
		}
	}
	add("*")
	add("openai/*")
	add("openai/gpt-*")
	add("*-mini")
	add("openai/gpt-4o", "chatgpt", "best-*")
	add("meta/*", "llama")
	add("*yz")
	add("ab*")
	tests := []struct{ name, model, pool, ask, star string }{
		{"exact", "openai/gpt-4o", "openai/gpt-4o", "openai/gpt-4o", ""},
		{"alias asks for the pool's name", "chatgpt", "openai/gpt-4o", "openai/gpt-4o", ""},
		{"longest wildcard", "openai/gpt-5", "openai/gpt-*", "openai/gpt-5", "5"},
		{"exact before a longer wildcard", "openai/gpt-4o-mini", "openai/gpt-*", "openai/gpt-4o-mini", "4o-mini"},
		{"shorter wildcard", "openai/o3", "openai/*", "openai/o3", "o3"},
		{"more literal characters", "openai/x-mini", "openai/*", "openai/x-mini", "x-mini"},
		{"of as many the longer prefix", "abxyz", "ab*", "abxyz", "xyz"},
		{"suffix", "x-mini", "*-mini", "x-mini", "x"},
		{"anything", "mistral", "*", "mistral", "mistral"},
		{"star of nothing", "openai/gpt-", "openai/gpt-*", "openai/gpt-", ""},
		{"shorter than its parts", "-min", "*", "-min", "-min"},
		{"empty", "", "*", "", ""},
		{"alias with a star", "best-of-all", "openai/gpt-4o", "best-of-all", "of-all"},
		{"alias of a wildcard", "llama", "meta/*", "llama", ""},
		{"the wildcard itself", "openai/*", "openai/*", "openai/*", "*"},
		{"case matters", "ChatGPT", "*", "ChatGPT", "ChatGPT"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := d.Resolve(test.model)
			want := Target{Pool: pools[test.pool], Model: test.ask, Star: test.star}
			if !ok || got != want {
				t.Errorf("%q: pool %q, model %q, star %q, found %v; want %q, %q, %q", test.model, got.Pool.Name, got.Model, got.Star, ok, test.pool, test.ask, test.star)
			}
		})
	}
	for _, name := range []string{"openai/gpt-4o", "chatgpt", "*", "best-*"} {
		p := newPool("new", deployment("a"))
		if taken, ok := d.Add(p, name); ok || taken != name {
			t.Errorf("alias %q: taken %q, ok %v; want it refused", name, taken, ok)
		}
		delete(d.names, "new")
		if taken, ok := d.Add(newPool(name, deployment("a"))); ok || taken != name {
			t.Errorf("pool %q: taken %q, ok %v; want it refused", name, taken, ok)
		}
	}
}

func TestDirectoryWithoutMatch(t *testing.T) {
	var d Directory
	for _, add := range []string{"", "a", "b-*-c"} {
		if add != "" {
			d.Add(newPool(add, deployment("a")))
		}
		for _, model := range []string{"x", "b-c", "B-x-c", "aa"} {
			if got, ok := d.Resolve(model); ok {
				t.Errorf("%q resolves to %q, want nothing", model, got.Pool.Name)
			}
		}
	}
}

// Exact names and aliases are found at the same cost among 1000 pools as among
// 10; wildcards, which are few, are looked through.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10, 1000} {
		var d Directory
		for i := range n {
			d.Add(newPool(fmt.Sprint("model-", i), deployment("a")), fmt.Sprint("alias-", i))
		}
		d.Add(newPool("openai/*", deployment("a")))
		for _, model := range []string{"model-7", "alias-7", "openai/gpt-4o"} {
			b.Run(fmt.Sprintf("%s of %d", model, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, ok := d.Resolve(model); !ok {
						b.Fatal("not found")
					}
				}
			})
		}
	}
}
