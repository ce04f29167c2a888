package wholepath

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What the documents for users say is tried here: configs load, commands work,
// names exist. A block of a document says by its info string what it is:
//
//	```caddyfile             a whole Caddyfile
//	```caddyfile router      a part of an llm_router block
//	```caddyfile pool        a part of a pool block
//	```caddyfile deployment  a part of a deployment block
//	```json                  any JSON; a config or a handler is loaded too
//	```sh                    commands; curl to localhost:8080 asks Caddyfile.example
//	```http                  what the commands of the block before it show
//	```grammar <where>       a grammar, the same as in the code

// docFiles are the documents, by their paths from the root.
func docFiles(t testing.TB) []string {
	t.Helper()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("got %d pages in docs and error %v, want some", len(pages), err)
	}
	return append([]string{"README.md", "xcaddy.md", "CONTRIBUTING.md", "CHANGELOG.md"}, pages...)
}

func readDoc(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// docBlock is a fenced block of a document.
type docBlock struct {
	path string
	line int
	info string // what stands after the backquotes
	text string
	next *docBlock // the block that follows in the document
}

func (b *docBlock) name() string { return fmt.Sprintf("%s:%d", b.path, b.line) }

// kind is the first word of the info string, detail what follows it.
func (b *docBlock) kind() (kind, detail string) {
	kind, detail, _ = strings.Cut(b.info, " ")
	return kind, detail
}

func docBlocks(t testing.TB, path string) []*docBlock {
	t.Helper()
	var all []*docBlock
	var open *docBlock
	for i, line := range strings.Split(readDoc(t, path), "\n") {
		info, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open == nil:
			open = &docBlock{path: path, line: i + 1, info: strings.TrimSpace(info)}
		case fence:
			if len(all) > 0 {
				all[len(all)-1].next = open
			}
			all, open = append(all, open), nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s: the block does not end", open.name())
	}
	return all
}

// blocksOf gives the blocks of all documents of one kind, which must exist.
func blocksOf(t testing.TB, kind string) []*docBlock {
	t.Helper()
	var found []*docBlock
	for _, path := range docFiles(t) {
		for _, b := range docBlocks(t, path) {
			if k, _ := b.kind(); k == kind {
				found = append(found, b)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no document has a block of %s", kind)
	}
	return found
}

func TestDocumentsUseKnownBlocks(t *testing.T) {
	known := []string{
		"caddyfile", "caddyfile router", "caddyfile pool", "caddyfile deployment",
		"json", "sh", "http", "text", "go", "dockerfile",
		"grammar router", "grammar llm_mock", "grammar redis",
	}
	for _, path := range docFiles(t) {
		for _, b := range docBlocks(t, path) {
			if !slices.Contains(known, b.info) {
				t.Errorf("%s: got the info string %q, want one of %q", b.name(), b.info, known)
			}
		}
	}
}

var envPlaceholder = regexp.MustCompile(`\{env\.([A-Za-z0-9_]+)\}`)

func TestDocumentedCaddyfilesAreValid(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, b := range blocksOf(t, "caddyfile") {
		t.Run(b.name(), func(t *testing.T) {
			if got := string(caddyfile.Format([]byte(b.text))); got != b.text {
				t.Errorf("got\n%s\nwant it formatted:\n%s", b.text, got)
			}
			for _, match := range envPlaceholder.FindAllStringSubmatch(b.text, -1) {
				t.Setenv(match[1], "sk-test")
			}
			_, part := b.kind()
			config := string(caddyfile.Format([]byte(wholeCaddyfile(part, b.text))))
			adapted, warnings, failure := adaptGolden(config)
			if failure != "" {
				t.Fatalf("got error %q, want it to adapt:\n%s", failure, config)
			}
			if len(warnings) != 0 {
				t.Errorf("got warnings %v, want none", warnings)
			}
			if err := validateJSON(adapted); err != nil {
				t.Errorf("got %v, want a valid config:\n%s", err, config)
			}
		})
	}
}

var (
	namedFallback = regexp.MustCompile(`(?m)^\s*(?:(?:default|context_window|content_policy)_)?fallback (.+)$`)
	namedPool     = regexp.MustCompile(`(?m)^\s*pool (.+) \{$`)
)

// wholeCaddyfile puts a Caddyfile around a part of one, with what that part
// needs to be valid: a pool, a deployment, an address, the pools that it falls
// back to.
func wholeCaddyfile(part, text string) string {
	const mock = "transport llm_mock\n"
	switch part {
	case "":
		return text
	case "deployment":
		if !regexp.MustCompile(`(?m)^(base_url|transport llm_mock|dynamic)\b`).MatchString(text) {
			text += "base_url http://127.0.0.1:9/v1\n"
		}
		text = "pool p {\ndeployment d {\n" + text + "}\n}\n"
	case "pool":
		if !strings.Contains(text, "deployment ") {
			text += "deployment d {\n" + mock + "}\n"
		}
		text = "pool p {\n" + text + "}\n"
	}
	known := make(map[string]bool)
	for _, match := range namedPool.FindAllStringSubmatch(text, -1) {
		for name := range strings.FieldsSeq(match[1]) {
			known[name] = true
		}
	}
	if len(known) == 0 {
		text += "pool p {\ndeployment d {\n" + mock + "}\n}\n"
		known["p"] = true
	}
	for _, match := range namedFallback.FindAllStringSubmatch(text, -1) {
		for name := range strings.FieldsSeq(match[1]) {
			if name == "{" || strings.HasPrefix(name, "#") {
				break
			}
			if !known[name] {
				text += "pool " + name + " {\ndeployment d {\n" + mock + "}\n}\n"
				known[name] = true
			}
		}
	}
	return ":8080 {\nllm_router {\n" + text + "}\n}\n"
}

func TestDocumentedJSONIsValid(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, b := range blocksOf(t, "json") {
		t.Run(b.name(), func(t *testing.T) {
			for _, match := range envPlaceholder.FindAllStringSubmatch(b.text, -1) {
				t.Setenv(match[1], "sk-test")
			}
			config, err := wholeConfig(b.text)
			if err != nil {
				t.Fatalf("got %v, want JSON", err)
			}
			if config == "" {
				return
			}
			if err := validateJSON([]byte(config)); err != nil {
				t.Errorf("got %v, want a valid config", err)
			}
		})
	}
}

var (
	headings   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	mdLinks    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fencedText = regexp.MustCompile("(?ms)^```.*?^```$")
)

// anchor is what GitHub makes of a heading.
func anchor(heading string) string {
	heading = strings.ToLower(strings.TrimSpace(heading))
	heading = regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(heading, "")
	return strings.ReplaceAll(heading, " ", "-")
}

func TestDocumentsLinkToWhatExists(t *testing.T) {
	anchors := func(path string) (names []string) {
		for _, match := range headings.FindAllStringSubmatch(fencedText.ReplaceAllString(readDoc(t, path), ""), -1) {
			names = append(names, anchor(match[1]))
		}
		return names
	}
	links := 0
	for _, path := range docFiles(t) {
		for _, match := range mdLinks.FindAllStringSubmatch(fencedText.ReplaceAllString(readDoc(t, path), ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			links++
			file, fragment, _ := strings.Cut(match[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: got a link to %s, want a file that exists", path, match[1])
				continue
			}
			if fragment != "" && !slices.Contains(anchors(target), fragment) {
				t.Errorf("%s: got a link to %s, want one of %q", path, match[1], anchors(target))
			}
		}
	}
	if links < 20 {
		t.Errorf("got %d links between documents, want at least 20", links)
	}
}

// Every page can be found from the first one.
func TestReadmeLinksToEveryPage(t *testing.T) {
	readme := readDoc(t, "README.md")
	for _, path := range docFiles(t) {
		if path != "README.md" && !strings.Contains(readme, "]("+path+")") {
			t.Errorf("README.md does not link to %s", path)
		}
	}
}
