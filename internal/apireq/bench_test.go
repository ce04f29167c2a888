package apireq

import (
	"math/rand/v2"
	"strings"
	"testing"
)

const benchText = `The quick brown fox said \"route me\" to the proxy.\nNaïve tokens, 日本語 and code: if (a[i] == {b: 1}) { return \"x\\ty\"; }\n\tLorem ipsum dolor sit amet, consectetur adipiscing elit. `

// chatBody is a chat request of about size bytes: messages of up to 4 KiB with
// the escapes that code and prose bring, the model first or last.
func chatBody(size int, modelLast bool) []byte {
	var b strings.Builder
	b.WriteByte('{')
	if !modelLast {
		b.WriteString(`"model":"mock-model",`)
	}
	b.WriteString(`"messages":[`)
	for i := 0; b.Len() < size-120; i++ {
		n := min(4096, size-120-b.Len())
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"role":"user","content":"` + strings.Repeat(benchText, n/len(benchText)) + strings.Repeat("x", n%len(benchText)) + `"}`)
	}
	b.WriteString(`],"temperature":0.7,"max_tokens":256`)
	if modelLast {
		b.WriteString(`,"model":"mock-model"`)
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// imageBody is a chat request with one base64 image of about size bytes.
func imageBody(size int) []byte {
	return []byte(`{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},` +
		`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + strings.Repeat("iVBORw0KGgoAAAAN", size/16) + `"}}]}],"model":"mock-model"}`)
}

// tokenBody is an embeddings request of token ids, all of it outside strings.
func tokenBody(size int, separator string) []byte {
	return []byte(`{"input":[` + strings.Repeat("12345"+separator, size/(5+len(separator))) + `1],"model":"mock-model"}`)
}

// toolBody is a request of many small strings and brackets.
func toolBody(size int) []byte {
	const tool = `{"type":"function","function":{"name":"lookup","description":"Finds a thing","parameters":{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer"}},"required":["id"]}}}`
	return []byte(`{"tools":[` + strings.Repeat(tool+",", size/len(tool)) + tool + `],"model":"mock-model"}`)
}

// codeBody is a chat request of source code, which is full of quotes and escapes at
// no regular distance.
func codeBody(size int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	text := []byte(`{"messages":[{"role":"user","content":"`)
	for len(text) < size {
		for range 1 + random.IntN(20) {
			text = append(text, byte('a'+random.IntN(26)))
		}
		text = append(text, [...]string{`\"`, `\n\t\t`, `\"`, `\\\"`, ` = {`, `[]`}[random.IntN(6)]...)
	}
	return append(text, `"}],"model":"mock-model"}`...)
}

// turnsBody is a chat request of many short messages.
func turnsBody(size int) []byte {
	const turns = `{"role":"user","content":"And then?"},{"role":"assistant","content":"It said \"yes\" again."},`
	return []byte(`{"messages":[` + strings.Repeat(turns, size/len(turns)) + `{"role":"user","content":"Ok"}],"model":"mock-model"}`)
}

// deepBody is a request of little but brackets.
func deepBody(size int) []byte {
	return []byte(`{"input":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + `,"model":"mock-model"}`)
}

func BenchmarkScanJSON(b *testing.B) {
	for _, bench := range []struct {
		name string
		body []byte
	}{
		{"chat/1K/first", chatBody(1<<10, false)},
		{"chat/1K/last", chatBody(1<<10, true)},
		{"chat/32K/first", chatBody(32<<10, false)},
		{"chat/32K/last", chatBody(32<<10, true)},
		{"chat/512K/first", chatBody(512<<10, false)},
		{"chat/512K/last", chatBody(512<<10, true)},
		{"image/512K/last", imageBody(512 << 10)},
		{"tokens/512K/last", tokenBody(512<<10, ",")},
		{"tokensSpaced/512K/last", tokenBody(512<<10, ", ")},
		{"tools/512K/last", toolBody(512 << 10)},
		{"code/512K/last", codeBody(512 << 10)},
		{"turns/512K/last", turnsBody(512 << 10)},
		{"deep/512K/last", deepBody(512 << 10)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bench.body)))
			for b.Loop() {
				if f, err := ScanJSON(bench.body); err != nil || f.Model != "mock-model" {
					b.Fatal(f, err)
				}
			}
		})
	}
}
