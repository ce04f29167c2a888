package retry

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// corpusRow is one recorded error. Class is what a router should make of it.
type corpusRow struct {
	Provider string            `json:"provider"`
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Class    string            `json:"class"`
	Source   string            `json:"source"`
	Note     string            `json:"note"`
	InStream bool              `json:"in_stream"`
}

func (r corpusRow) header() http.Header {
	h := http.Header{}
	for name, value := range r.Headers {
		h.Set(name, value)
	}
	return h
}

// classify goes the way a response of that kind would go.
func (r corpusRow) classify() Class {
	if !r.InStream {
		return Classify(r.Status, r.header(), []byte(r.Body))
	}
	for _, data := range eventData(r.Body) {
		if c := ClassifyEvent([]byte(data)); c != None {
			return c
		}
	}
	return None
}

// eventData returns the payloads of a body that may be a piece of an event
// stream or one payload alone.
func eventData(body string) []string {
	var payloads []string
	for line := range strings.Lines(body) {
		for _, field := range []string{"data:", "error:"} { // the latter is llama.cpp's
			if data, ok := strings.CutPrefix(line, field); ok {
				payloads = append(payloads, strings.TrimSpace(data))
			}
		}
	}
	if payloads == nil {
		return []string{body}
	}
	return payloads
}

// readCorpus reads the recorded errors: those that the patterns were written
// from, and those that they were judged by afterwards.
func readCorpus(t testing.TB) []corpusRow {
	t.Helper()
	return append(readErrors(t, "testdata/errors.jsonl"), readErrors(t, "testdata/more_errors.jsonl")...)
}

func readErrors(t testing.TB, path string) []corpusRow {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows []corpusRow
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row corpusRow
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("line %d: %v", len(rows)+1, err)
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Fatal("the corpus is empty")
	}
	return rows
}

func TestCorpus(t *testing.T) {
	for i, row := range readCorpus(t) {
		t.Run(fmt.Sprintf("%d_%s_%d", i+1, row.Provider, row.Status), func(t *testing.T) {
			want, ok := ParseClass(row.Class)
			if !ok {
				t.Fatalf("no class is called %q", row.Class)
			}
			if got := row.classify(); got != want {
				t.Errorf("got %v, want %v\nbody: %s\nsource: %s\nnote: %s", got, want, row.Body, row.Source, row.Note)
			}
		})
	}
}

// An error inside a stream must be seen as well when its payload comes as the
// body of an ordinary 200.
func TestCorpusErrorsInsideGoodStatus(t *testing.T) {
	for _, row := range readCorpus(t) {
		if !row.InStream {
			continue
		}
		data := eventData(row.Body)[0]
		if got, want := Classify(200, nil, []byte(data)), ClassifyEvent([]byte(data)); got != want || got == None {
			t.Errorf("got %v, want %v, which is an error\nbody: %s", got, want, data)
		}
	}
}

// Gateways pass errors on in wrappings of their own. What they mean stays the
// same.
func TestCorpusWrapped(t *testing.T) {
	wrappings := map[string]func(body string) string{
		"in an array":           func(body string) string { return "[" + body + "]" },
		"in a detail":           func(body string) string { return `{"detail":` + body + `}` },
		"as text":               func(body string) string { return `{"error":{"message":` + jsonString(body) + `}}` },
		"as text behind a text": func(body string) string { return `{"message":` + jsonString("Error from upstream: "+body) + `}` },
		"twice as text": func(body string) string {
			return `{"error":{"message":` + jsonString(`{"message":`+jsonString(body)+`}`) + `}}`
		},
		"with blanks": func(body string) string { return "\r\n  " + body + "\n\n" },
	}
	for i, row := range readErrors(t, "testdata/errors.jsonl") {
		if row.InStream || !json.Valid([]byte(row.Body)) {
			continue
		}
		for name, wrap := range wrappings {
			got := Classify(row.Status, row.header(), []byte(wrap(row.Body)))
			if want, _ := ParseClass(row.Class); got != want {
				t.Errorf("row %d %s: got %v, want %v\nbody: %s", i+1, name, got, want, wrap(row.Body))
			}
		}
	}
}

// A body that arrives as the content of a good answer is no error.
func TestCorpusQuotedInContent(t *testing.T) {
	for i, row := range readCorpus(t) {
		text := jsonString(row.Body)
		for _, event := range []string{
			`{"object":"chat.completion.chunk","choices":[{"delta":{"content":` + text + `}}]}`,
			`{"type":"response.output_text.delta","delta":` + text + `}`,
			`{"type":"content_block_delta","delta":{"type":"text_delta","text":` + text + `}}`,
			`{"model":"m","message":{"role":"assistant","content":` + text + `},"done":false}`,
			`{"model":"m","response":` + text + `,"done":false}`,
			`{"text":` + text + `}`,
		} {
			if got := ClassifyEvent([]byte(event)); got != None {
				t.Errorf("row %d: got %v, want none\nevent: %s", i+1, got, event)
			}
		}
	}
}

// The rows whose wait is known from their text.
func TestCorpusWaits(t *testing.T) {
	found := map[time.Duration]int{}
	for _, row := range readCorpus(t) {
		if d, ok := Wait(row.header(), []byte(row.Body), waitNow); ok {
			found[d]++
		}
	}
	for _, want := range []time.Duration{
		174 * time.Millisecond, // OpenAI's "try again in 174ms"
		time.Second,            // Azure's "retry-after: 1" beside "retry-after-ms: 0"
		2 * time.Second,        // Azure's "Try again in 2 seconds"
		2 * time.Minute,        // Cloudflare's retry_after, cut off
		24 * time.Hour,         // Azure's "retry after 86400 seconds"
	} {
		if found[want] == 0 {
			t.Errorf("no row states %v; stated: %v", want, found)
		}
	}
}

// jsonString encodes s as a JSON string.
func jsonString(s string) string {
	encoded, err := json.Marshal(s)
	if err != nil { // strings always marshal
		panic(err)
	}
	return string(encoded)
}

// Bodies arrive cut off. Nothing but the class may be lost by it.
func TestCorpusCutShort(t *testing.T) {
	for _, row := range readCorpus(t) {
		for n := 0; n < len(row.Body); n += 7 { // any odd step meets all kinds of places
			Classify(row.Status, row.header(), []byte(row.Body[:n]))
			ClassifyEvent([]byte(row.Body[:n]))
		}
	}
}
