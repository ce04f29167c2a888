package main

import (
	"fmt"
	"strings"
	"time"
)

// scenario is one kind of traffic.
type scenario struct {
	name      string
	clients   int
	size      int // of a request's body, in bytes
	modelLast bool
	events    int64 // of a stream; 0: no stream
	interval  time.Duration
	memory    bool // what open streams hold is measured, and nothing else
}

// unit is what costs are told of.
func (s *scenario) unit() string {
	switch {
	case s.memory:
		return "stream"
	case s.events > 0:
		return "event"
	}
	return "request"
}

var scenarios = []scenario{
	{name: "json-1k-alone", clients: 1, size: 1 << 10},
	{name: "json-1k", clients: 32, size: 1 << 10},
	{name: "json-32k-last", clients: 32, size: 32 << 10, modelLast: true},
	{name: "json-512k-first", clients: 32, size: 512 << 10},
	{name: "json-512k-last", clients: 32, size: 512 << 10, modelLast: true},
	{name: "sse-unpaced", clients: 32, size: 1 << 10, events: 100},
	{name: "sse-10ms", clients: 200, size: 1 << 10, events: 100, interval: 10 * time.Millisecond},
	{name: "sse-10ms-few", clients: 20, size: 1 << 10, events: 100, interval: 10 * time.Millisecond},
	{name: "streams-open", clients: 1000, size: 1 << 10, events: 1000, interval: time.Second, memory: true},
}

// scenarioNames are the names of all scenarios, in one line.
func scenarioNames() string {
	var names []string
	for i := range scenarios {
		names = append(names, scenarios[i].name)
	}
	return strings.Join(names, ", ")
}

// scenariosNamed are the scenarios whose names begin with one of the prefixes, separated by
// commas.
func scenariosNamed(prefixes string) (list []*scenario, err error) {
	for prefix := range strings.SplitSeq(prefixes, ",") {
		found := false
		for i := range scenarios {
			if strings.HasPrefix(scenarios[i].name, prefix) {
				list, found = append(list, &scenarios[i]), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no scenario %q", prefix)
		}
	}
	return list, nil
}

// chat is the body of a request of size bytes: messages of 4 KiB, with the escapes
// and the characters beyond ASCII that prompts have.
func chat(size int, modelLast, stream bool) string {
	const text = `The quick brown fox said \"route me\" to the proxy.\nNaïve tokens, 日本語 and code: if (a[i] == {b: 1}) { return \"x\\ty\"; }\n\tLorem ipsum dolor sit amet, consectetur adipiscing elit. `
	begin, end := `{"model":"bench-model","messages":[`, `],"temperature":0.7,"max_tokens":256}`
	if modelLast {
		begin, end = `{"messages":[`, `],"temperature":0.7,"max_tokens":256,"model":"bench-model"}`
	}
	if stream {
		begin = strings.Replace(begin, "{", asksForStream, 1)
	}
	var b strings.Builder
	b.WriteString(begin)
	const open, shut = `{"role":"user","content":"`, `"}`
	for first := true; ; first = false {
		if !first {
			b.WriteByte(',')
		}
		room := max(size-b.Len()-len(end)-len(open)-len(shut), 0)
		n := room
		if room > 4<<10+len(open)+len(shut)+1 {
			n = 4 << 10
		}
		b.WriteString(open + strings.Repeat(text, n/len(text)) + strings.Repeat("x", n%len(text)) + shut)
		if n == room {
			return b.String() + end
		}
	}
}
