package clients

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page names the versions that are tried.
func TestPageNamesTheVersions(t *testing.T) {
	var node struct{ Dependencies map[string]string }
	if err := json.Unmarshal(read(t, "node/package.json"), &node); err != nil {
		t.Fatal(err)
	}
	page := string(read(t, page))
	for client, version := range map[string]string{
		"[openai (Go)]":       first(t, `openai-go/v3 v(\S+)`, read(t, "../../go.mod")),
		"[openai (Python)]":   first(t, `(?m)^openai==(\S+)`, read(t, "python/requirements.txt")),
		"[openai (Node)]":     node.Dependencies["openai"],
		"[ai (Vercel)]":       node.Dependencies["ai"] + " with " + node.Dependencies["@ai-sdk/openai-compatible"],
		"[LangChain.js]":      node.Dependencies["@langchain/openai"],
		"[@anthropic-ai/sdk]": node.Dependencies["@anthropic-ai/sdk"],
	} {
		_, row, ok := strings.Cut(page, "| "+client)
		row, _, _ = strings.Cut(row, "\n")
		if want := "| " + version + " |"; !ok || !strings.HasSuffix(row, want) {
			t.Errorf("%s: got %q, want that it ends with %q", client, row, want)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// first is what the group of a pattern matches first.
func first(t *testing.T, pattern string, text []byte) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		t.Fatalf("there is no %s", pattern)
	}
	return string(found[1])
}
