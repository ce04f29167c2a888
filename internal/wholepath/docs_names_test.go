package wholepath

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	llmrouter "github.com/llmrouter/caddy-llm-router"
	"github.com/llmrouter/caddy-llm-router/retry"
	"github.com/llmrouter/caddy-llm-router/upstreams"
)

// wholeConfig puts a config around JSON that is a handler; empty for JSON that
// is neither a handler nor a config.
func wholeConfig(text string) (string, error) {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return "", err
	}
	fields, _ := value.(map[string]any)
	switch {
	case fields["apps"] != nil:
		return text, nil
	case fields["handler"] != nil:
		return `{"apps":{"http":{"servers":{"s":{"listen":[":8080"],"routes":[{"handle":[` + text + `]}]}}}}}`, nil
	}
	return "", nil
}

// codeGrammar is the grammar in the doc comment of a file's UnmarshalCaddyfile:
// the lines of a block of code, without comments.
func codeGrammar(t testing.TB, path, first string) []string {
	t.Helper()
	source := readDoc(t, path)
	_, after, ok := strings.Cut(source, "//\t"+first)
	if !ok {
		t.Fatalf("%s has no grammar that begins with %q", path, first)
	}
	var lines []string
	for line := range strings.Lines("//\t" + first + after) {
		rest, comment := strings.CutPrefix(strings.TrimRight(line, "\n"), "//")
		if !comment {
			break
		}
		lines = append(lines, rest)
	}
	return grammarLines(strings.Join(lines, "\n"))
}

// grammarLines are the lines of a grammar that name something, with single
// blanks.
func grammarLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.Join(strings.Fields(line), " ")
		if line != "" && !strings.HasPrefix(line, "<subdirectives of ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// grammars are those of the code, and the block of a document that each is the
// same as, or a part of.
var grammars = []struct {
	block, doc, code, first string
	part                    bool
}{
	{"router", "docs/configuration.md", "caddyfile.go", "llm_router [<matcher>] {", false},
	{"router", "docs/configuration.md", "upstreams/caddyfile_policy.go", "strategy ", true},
	{"router", "docs/configuration.md", "upstreams/caddyfile.go", "deployment <id> [<base_url>] {\n//\t\tbase_url", true},
	{"llm_mock", "docs/mock.md", "internal/mock/caddyfile.go", "transport llm_mock {", false},
	{"redis", "docs/state.md", "appcaddyfile.go", "llm_router {", false},
}

func TestDocumentedGrammarIsThatOfTheCode(t *testing.T) {
	for _, g := range grammars {
		t.Run(g.code, func(t *testing.T) {
			want := codeGrammar(t, g.code, g.first)
			i := slices.IndexFunc(docBlocks(t, g.doc), func(b *docBlock) bool { return b.info == "grammar "+g.block })
			if i < 0 {
				t.Fatalf("%s has no block grammar %s", g.doc, g.block)
			}
			got := grammarLines(docBlocks(t, g.doc)[i].text)
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Errorf("%s lacks %q, which %s has", g.doc, line, g.code)
				}
			}
			for _, line := range got {
				if !g.part && !slices.Contains(want, line) {
					t.Errorf("%s has %q, which %s lacks", g.doc, line, g.code)
				}
			}
		})
	}
}

var (
	grammarName  = regexp.MustCompile(`^([a-z_]+)(?: |$)`)
	tableSubject = regexp.MustCompile("(?m)^\\| `([a-z_]+)[ `]")
)

// Every subdirective of a grammar has its row in a table of the same document,
// and every row is of a subdirective.
func TestEverySubdirectiveIsDescribed(t *testing.T) {
	for _, doc := range []string{"docs/configuration.md", "docs/mock.md", "docs/state.md"} {
		names := make(map[string]bool)
		for _, g := range grammars {
			if g.doc != doc {
				continue
			}
			for _, line := range codeGrammar(t, g.code, g.first) {
				if match := grammarName.FindStringSubmatch(line); match != nil {
					names[match[1]] = true
				}
			}
		}
		if doc == "docs/configuration.md" {
			for _, name := range upstreams.PolicySubdirectives() {
				names[name] = true
			}
		}
		delete(names, "llm_router")
		delete(names, "transport")
		described := make(map[string]bool)
		for _, match := range tableSubject.FindAllStringSubmatch(readDoc(t, doc), -1) {
			described[match[1]] = true
		}
		for name := range names {
			if !described[name] {
				t.Errorf("%s: no row of a table describes %s", doc, name)
			}
		}
		for name := range described {
			if !names[name] {
				t.Errorf("%s: a row of a table describes %s, which the grammar lacks", doc, name)
			}
		}
	}
}

// Every field of the JSON config is in the reference, and every name that the
// reference gives one exists.
func TestEveryJSONFieldIsDescribed(t *testing.T) {
	names := make(map[string]bool)
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || !strings.Contains(typ.PkgPath(), "caddy-llm-router") {
			return
		}
		for i := range typ.NumField() {
			field := typ.Field(i)
			tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if tag != "" && tag != "-" {
				names[tag] = true
			}
			if tag != "" && tag != "-" || field.Anonymous {
				walk(field.Type)
			}
		}
	}
	walk(reflect.TypeFor[llmrouter.Handler]())
	text := readDoc(t, "docs/configuration.md")
	for name := range names {
		if !strings.Contains(text, "`"+name) && !strings.Contains(text, "."+name+"`") {
			t.Errorf("docs/configuration.md does not name the field %s", name)
		}
	}
	for _, match := range regexp.MustCompile("`\\.([a-z_.\\[\\]]+)`").FindAllStringSubmatch(text, -1) {
		for part := range strings.SplitSeq(strings.ReplaceAll(match[1], "[]", ""), ".") {
			if !names[part] {
				t.Errorf("docs/configuration.md names the field .%s, which does not exist", match[1])
			}
		}
	}
}

// sources are the Go files of some folders, but for tests.
func sources(t testing.TB, folders ...string) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range folders {
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("got %d Go files in %s and error %v, want some", len(paths), folder, err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// matches are the texts of a pattern's first group, in lower case.
func matches(pattern, text string) map[string]bool {
	found := make(map[string]bool)
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found[strings.ToLower(match[1])] = true
	}
	return found
}

func allDocs(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for _, path := range docFiles(t) {
		all.WriteString(readDoc(t, path))
	}
	return all.String()
}

func TestDocumentedNamesExist(t *testing.T) {
	code, docs := sources(t, ".", "upstreams"), allDocs(t)
	for _, tt := range []struct{ what, page, inCode, inDocs string }{
		{"header", "docs/headers-and-errors.md", `"(X-Llm-[A-Za-z-]+[a-z])"`, `(X-(?:LLM|Llm)-[A-Za-z-]+[a-z])`},
		{"placeholder", "docs/observability.md", `\x60\{http\.llm_router\.([a-z_]+)\}`, `\{http\.llm_router\.([a-z_]+)\}`},
		{"error code", "docs/headers-and-errors.md", `Code: +"([a-z_]+)"`, `(?m)^\| \d{3} \| \x60([a-z_]+)\x60`},
	} {
		want, got := matches(tt.inCode, code), matches(tt.inDocs, docs)
		if len(want) == 0 || len(got) == 0 {
			t.Fatalf("%s: got %d in the code and %d in the documents, want some", tt.what, len(want), len(got))
		}
		for name := range got {
			if !want[name] {
				t.Errorf("got the %s %s in the documents, which the code does not have", tt.what, name)
			}
		}
		there := matches(tt.inDocs, readDoc(t, tt.page))
		for name := range want {
			if !there[name] {
				t.Errorf("%s does not have the %s %s", tt.page, tt.what, name)
			}
		}
	}
}

// The table of error classes is complete and names no other.
func TestDocumentedErrorClassesAreAll(t *testing.T) {
	got := matches("(?m)^\\| `([a-z_]+)` \\|", readDoc(t, "docs/failures.md"))
	want := make(map[string]bool)
	for class := retry.Connection; class < retry.Canceled; class++ {
		want[class.String()] = true
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got the classes %v, want %v", got, want)
	}
}

// Every refused subdirective of reverse_proxy is in the documents with the
// sentence that it is refused with.
func TestDocumentedRefusalsAreThoseOfTheCode(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+(?: fastcgi)?)` \\| (.+) \\|$").
		FindAllStringSubmatch(readDoc(t, "docs/upstreams.md"), -1)
	arguments := map[string]string{"transport fastcgi": "", "lb_policy": " random"}
	documented := make(map[string]bool)
	for _, row := range rows {
		name, sentence := row[1], strings.ReplaceAll(row[2], "`", "")
		documented[name] = true
		config := fmt.Sprintf(":8080 {\n\tllm_router {\n\t\tpool p {\n\t\t\tdeployment d http://127.0.0.1:9 {\n\t\t\t\t%s%s\n\t\t\t}\n\t\t}\n\t}\n}\n",
			name, arguments[name])
		_, _, got := adaptGolden(config)
		if want := name + " is not available here"; !strings.Contains(got, want) || !strings.Contains(got, sentence) {
			t.Errorf("%s: got error %q, want %q and %q in it", name, got, want, sentence)
		}
	}
	for name := range matches("(?m)^\t\"([a-z_]+)\": +\"", sources(t, "upstreams")) {
		if !documented[name] {
			t.Errorf("docs/upstreams.md does not say that %s is refused", name)
		}
	}
}
