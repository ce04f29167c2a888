package wholepath

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
)

// curlLine is one command of a document that asks Caddyfile.example.
type curlLine struct {
	where, text string
	// shown are the lines that the document says the last command of a block
	// answers with: a status line, headers, and after an empty line a part of
	// the body.
	shown string
}

// splitCommand splits a command into words as a shell does, as far as the
// documents need it.
func splitCommand(line string) (words []string, err error) {
	var word strings.Builder
	quote, began := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, began = r, true
		case r == ' ' || r == '\t':
			if began {
				words = append(words, word.String())
			}
			word.Reset()
			began = false
		default:
			word.WriteRune(r)
			began = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote does not close")
	}
	if began {
		words = append(words, word.String())
	}
	return words, nil
}

func curlRequest(ctx context.Context, line string) (*http.Request, error) {
	words, err := splitCommand(line)
	if err != nil {
		return nil, err
	}
	var url, method string
	var body io.Reader
	header := make(http.Header)
	for i := 1; i < len(words); i++ {
		switch word := words[i]; word {
		case "-d", "-H", "-X":
			if i++; i == len(words) {
				return nil, errors.New(word + " has no argument")
			}
			switch word {
			case "-d":
				body = strings.NewReader(words[i])
			case "-X":
				method = words[i]
			case "-H":
				name, value, _ := strings.Cut(words[i], ":")
				header.Add(name, strings.TrimSpace(value))
			}
		case "-i", "-N", "-iN", "-s", "-si", "-sN":
		default:
			if url != "" || strings.HasPrefix(word, "-") {
				return nil, errors.New("what is " + word + "?")
			}
			url = word
		}
	}
	switch {
	case method != "":
	case body != nil:
		method = http.MethodPost
	default:
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+strings.TrimPrefix(url, "http://"), body)
	if err != nil {
		return nil, err
	}
	r.Header = header
	return r, nil
}

// exampleCommands are the curl commands of the documents and of the example.
func exampleCommands(t testing.TB) []curlLine {
	t.Helper()
	var all []curlLine
	for _, b := range blocksOf(t, "sh") {
		first := len(all)
		for line := range strings.Lines(b.text) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") && strings.Contains(line, "localhost:8080") {
				all = append(all, curlLine{where: b.name(), text: line})
			}
		}
		if b.next != nil && b.next.info == "http" {
			if len(all) == first {
				t.Fatalf("%s shows an answer, and the block before it has no command", b.next.name())
			}
			all[len(all)-1].shown = b.next.text
		}
	}
	example, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(example)) {
		if comment, ok := strings.CutPrefix(strings.TrimSpace(line), "#"); ok && strings.HasPrefix(strings.TrimSpace(comment), "curl ") {
			all = append(all, curlLine{where: "Caddyfile.example", text: strings.TrimSpace(comment)})
		}
	}
	if len(all) < 5 {
		t.Fatalf("got %d commands, want at least 5", len(all))
	}
	return all
}

func TestDocumentedCommandsWork(t *testing.T) {
	config := readDoc(t, "Caddyfile.example")
	for _, command := range exampleCommands(t) {
		t.Run(command.where, func(t *testing.T) {
			s := caddyharness.Load(t, config) // anew, for its cooldowns
			ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
			defer cancel()
			r, err := curlRequest(ctx, command.text)
			if err != nil {
				t.Fatalf("%s: %v", command.text, err)
			}
			resp, err := s.Client().Do(r)
			if err != nil {
				t.Fatalf("%s: %v", command.text, err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatalf("%s: %v", command.text, err)
			}
			if command.shown == "" {
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: got status %d and %s, want 200", command.text, resp.StatusCode, body)
				}
				return
			}
			command.check(t, resp, string(body))
		})
	}
}

// check compares an answer with what the document shows of it. "..." in a line
// of the body stands for anything.
func (c curlLine) check(t *testing.T, resp *http.Response, body string) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(c.shown))
	inBody := false
	for first := true; lines.Scan(); first = false {
		line := lines.Text()
		switch {
		case inBody:
			rest := body
			for part := range strings.SplitSeq(line, "...") {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Errorf("%s: got body %s, want %q in it", c.text, body, line)
					break
				}
				rest = after
			}
		case line == "":
			inBody = true
		case first:
			if want := "HTTP/1.1 " + resp.Status; line != want {
				t.Errorf("%s: got %q and %s, want %q", c.text, want, body, line)
			}
		default:
			name, want, _ := strings.Cut(line, ": ")
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s: got %q, want %q", c.text, name, got, want)
			}
		}
	}
}
