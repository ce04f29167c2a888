package apireq

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func prefixesOf(t testing.TB, body string) []selection.Prefix {
	t.Helper()
	facts, err := ScanJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return BodyOf([]byte(body)).Prompt(&facts).Prefixes(nil)
}

// common is how many tokens of two prompts are known to be the same.
func common(a, b []selection.Prefix) int {
	tokens := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			break
		}
		tokens = a[i].Tokens
	}
	return tokens
}

func message(role string, size int, letter string) string {
	return fmt.Sprintf(`{"role":%q,"content":%q}`, role, strings.Repeat(letter, size))
}

func TestPrefixes(t *testing.T) {
	system, question, answer := message("system", 4000, "s"), message("user", 2000, "q"), message("assistant", 2000, "a")
	tools := `"tools":[{"type":"function","function":{"name":"` + strings.Repeat("t", 1500) + `"}}]`
	first := `{"model":"m","messages":[` + system + `,` + question + `]}`
	for _, test := range []struct {
		name, a, b string
		min, max   int // tokens in common
	}{
		{"the same", first, first, 1400, 1520},
		{"a conversation that goes on", first, `{"model":"m","messages":[` + system + `,` + question + `,` + answer + `,` + question + `]}`, 1400, 1520},
		{"other fields", first, `{"temperature":1,"messages":[` + system + `,` + question + `],"stream":true,"model":"m"}`, 1400, 1520},
		{"only the system prompt", first, `{"messages":[` + system + `,` + message("user", 2000, "x") + `]}`, 950, 1020},
		{"nothing", first, `{"messages":[` + question + `]}`, 0, 0},
		{"a message of text that goes on", `{"prompt":"` + strings.Repeat("x", 5000) + `"}`, `{"prompt":"` + strings.Repeat("x", 5000) + `y"}`, 1160, 1250},
		{"a change at the beginning", `{"prompt":"` + strings.Repeat("x", 5000) + `"}`, `{"prompt":"y` + strings.Repeat("x", 5000) + `"}`, 0, 0},
		{"tools before or after messages", `{` + tools + `,"messages":[` + question + `]}`, `{"messages":[` + question + `],` + tools + `}`, 800, 1000},
		{"the same tools", `{` + tools + `,"messages":[` + question + `]}`, `{` + tools + `,"messages":[` + answer + `]}`, 380, 400},
		{"other tools", `{` + tools + `,"messages":[` + question + `]}`, `{"tools":[],"messages":[` + question + `]}`, 0, 0},
		{"a system prompt beside the messages", `{"system":"` + strings.Repeat("s", 300) + `","messages":[` + question + `]}`, `{"messages":[` + answer + `],"system":"` + strings.Repeat("s", 300) + `"}`, 75, 75},
		{"short prompts", `{"messages":[` + message("user", 100, "q") + `]}`, `{"messages":[` + message("user", 100, "q") + `]}`, 0, 0},
		{"no prompt", `{"model":"m"}`, `{"model":"m"}`, 0, 0},
		{"a prompt of another kind", `{"input":12,"messages":{}}`, `{"input":12,"messages":{}}`, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := common(prefixesOf(t, test.a), prefixesOf(t, test.b)); got < test.min || got > test.max {
				t.Errorf("got %d tokens in common, want %d to %d", got, test.min, test.max)
			}
		})
	}
}

func TestPrefixesAreBounded(t *testing.T) {
	for _, size := range []int{1 << 10, 32 << 10, 1 << 20, 8 << 20} {
		got := prefixesOf(t, string(chatBody(size, true)))
		if len(got) == 0 || len(got) > 110 {
			t.Errorf("%d bytes: got %d prefixes, want 1 to 110", size, len(got))
		}
		last, before := 0, 0
		for _, p := range got {
			if step := p.Tokens - last; step <= 0 || step > max(minBlock/4, before/maxBlockShare+1) {
				t.Errorf("%d bytes: got prefixes of %d and %d tokens, want at most a part in %d between them", size, last, p.Tokens, maxBlockShare)
			}
			last, before = p.Tokens, p.Tokens
		}
		if want := min(size, maxPrefix) / 4; last < want-want/8-minBlock {
			t.Errorf("%d bytes: got a longest prefix of %d tokens, want nearly %d", size, last, want)
		}
	}
}

func TestAPromptLastsAsLongAsItsBody(t *testing.T) {
	body := BodyOf(chatBody(4<<10, true))
	facts, err := ScanJSON(body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var prompt selection.Prompt
	if n := testing.AllocsPerRun(100, func() {
		prompt.Reset(body.Prompt(&facts))
		if len(prompt.Prefixes()) == 0 {
			t.Error("got no prefixes, want some")
		}
	}); n > 0 {
		t.Errorf("got %v allocations, want none from the second request on", n)
	}
	prompt.Reset(nil)
	if got := prompt.Prefixes(); len(got) != 0 {
		t.Errorf("got %d prefixes of an unknown prompt, want none", len(got))
	}
}

// Whatever a body is, a prompt that goes on keeps its prefixes.
func FuzzPrefixes(f *testing.F) {
	f.Add([]byte(`{"role":"user","content":"`+strings.Repeat("x", 600)+`"}`), []byte(`{"role":"user"}`))
	f.Add([]byte(`1,2,3`), []byte(`[4]`))
	f.Add([]byte(`"\"]"`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, messages, next []byte) {
		first := []byte(`{"messages":[` + string(messages) + `]}`)
		facts, err := ScanJSON(first)
		if err != nil || !json.Valid(first) {
			return
		}
		if facts.prompt.n != 1 { // the messages close the list, and go on with other fields
			return
		}
		more := bytes.Join([][]byte{[]byte(`{"messages":[`), messages, []byte(`,`), next, []byte(`]}`)}, nil)
		if _, err := ScanJSON(more); err != nil {
			return
		}
		a, b := prefixesOf(t, string(first)), prefixesOf(t, string(more))
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("got another prefix %d of %d when the prompt went on", i, len(a))
			}
		}
	})
}

// What prefix_affinity adds to a request with a prompt of 32 KiB, among 100
// deployments: new is a prompt that nobody has seen, known one that some have.
func BenchmarkPrefixAffinity(b *testing.B) {
	var all []*selection.Candidate
	for i := range 100 {
		all = append(all, selection.NewCandidate(fmt.Sprint(i), new(selection.State)))
	}
	body := BodyOf(chatBody(32<<10, true))
	facts, err := ScanJSON(body.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	var prompt selection.Prompt
	for _, name := range []string{"pick new", "pick known", "pick and send known"} {
		b.Run(name, func(b *testing.B) {
			p := &selection.PrefixAffinity{Table: selection.NewPrefixTable(16<<20, time.Minute), Balance: 1.25}
			q := &selection.Query{Now: time.Unix(1e9, 0), Tokens: facts.PromptTokens(), Model: "mock-model", Prompt: &prompt}
			prompt.Reset(body.Prompt(&facts))
			if name != "pick new" {
				p.Sent(q, all[70])
				p.Sent(q, all[20])
			}
			b.ReportAllocs()
			for b.Loop() {
				prompt.Reset(body.Prompt(&facts))
				c := p.Pick(q, all)
				if name == "pick and send known" {
					p.Sent(q, c)
				}
			}
		})
	}
}
