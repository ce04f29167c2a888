package sse

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/api"
)

// events cuts a stream that a test wrote into events that stay valid.
func events(t testing.TB, d api.Dialect, stream string) []Event {
	t.Helper()
	r := NewReader(strings.NewReader(stream), d.NDJSON())
	var all []Event
	for {
		ev, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Event{
			Raw: []byte(string(ev.Raw)), Name: []byte(string(ev.Name)), Data: []byte(string(ev.Data)), Partial: ev.Partial,
		})
	}
}

func transcriptOf(t testing.TB, d api.Dialect, stream string) *Transcript {
	t.Helper()
	tr := NewTranscript(d)
	for _, ev := range events(t, d, stream) {
		tr.Observe(ev)
	}
	return tr
}

// replay gives a replacement stream to a Replay and returns what the client
// gets, and whether the streams turned out to differ.
func replay(t testing.TB, tr *Transcript, stream string) (client string, differs bool) {
	t.Helper()
	r := tr.Replay()
	for _, ev := range events(t, tr.dialect, stream) {
		out, v := r.Next(ev)
		switch v {
		case Pass:
			client += string(out)
		case Differ:
			if _, again := r.Next(ev); again != Differ {
				t.Errorf("got %v after differ, want differ", again)
			}
			return client, true
		case Hold:
			if out != nil {
				t.Errorf("got bytes %q with hold", out)
			}
		}
	}
	return client, false
}

// Writers of events. The text of say and think is what stands between quotes.

func say(text string) string { return "data: " + delta(`{"content":"`+text+`"}`) + "\n\n" }

func think(text string) string { return "data: " + delta(`{"reasoning_content":"`+text+`"}`) + "\n\n" }

const (
	role  = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	stop  = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	usage = `data: {"choices":[],"usage":{"completion_tokens":4}}` + "\n\n"
	done  = "data: [DONE]\n\n"
	tool  = `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a"}]}}]}` + "\n\n"
	ping  = ": ping\n\n"
)

func TestReplayChat(t *testing.T) {
	for _, tc := range []struct {
		name          string
		had, new, out string
		differs       bool
	}{
		{
			name: "exact boundary", had: role + say("Hello"),
			new: role + say("Hel") + say("lo") + say(" you") + stop + usage + done,
			out: say(" you") + stop + usage + done,
		},
		{
			name: "inside an event", had: role + say("Hel"),
			new: role + say("Hello you") + say("!") + stop + done,
			out: say("lo you") + say("!") + stop + done,
		},
		{
			name: "many events against one", had: role + say("H") + say("el") + say("") + say("lo"),
			new: role + say("Hello") + say("!"), out: say("!"),
		},
		{
			name: "behind an escape", had: say("a\\n"),
			new: say(`a\u000ab\"\\`), out: say(`b\"\\`),
		},
		{
			name: "inside a run of escapes", had: say("é"),
			new: say(`\u00e9\u00e8`), out: say(`\u00e8`),
		},
		{name: "inside a character", had: say("\xc3"), new: say("é"), differs: true},
		{name: "half a surrogate pair", had: say("a"), new: say(`a\ud83d`), out: say(`\ud83d`)},
		{name: "half a surrogate pair to compare", had: say("ab"), new: say(`a\ud83d`), differs: true},
		{name: "keep-alives pass from there on", had: say("ab"), new: ping + say("a") + ping + say("bc") + ping, out: say("c") + ping},
		{name: "keep-alives before the client has anything", had: ping, new: ping + say("a"), out: ping + say("a")},
		{name: "other text", had: say("Hello"), new: role + say("Hallo"), differs: true},
		{name: "other text in a later event", had: say("Hello"), new: say("Hell") + say("a"), differs: true},
		{name: "shorter", had: say("Hello"), new: say("Hell") + stop, differs: true},
		{name: "shorter, without a finish reason", had: say("Hello"), new: say("Hell") + done, differs: true},
		{name: "still short of the client", had: say("Hello"), new: role + say("Hell"), out: ""},
		{
			name: "same length, finishing", had: say("Hello"), new: say("Hello") + stop + done, out: stop + done,
		},
		{
			name: "same length, finishing in the same event", had: say("Hello"),
			new: "data: " + chunk(`{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}`) + "\n\n",
			out: "data: " + chunk(`{"index":0,"delta":{"content":""},"finish_reason":"stop"}`) + "\n\n",
		},
		{
			name: "reasoning and answer", had: think("Let me") + say("He"),
			new: role + think("Let ") + think("me") + say("Hello"), out: say("llo"),
		},
		{name: "reasoning goes on", had: think("Let"), new: think("Let me") + say("Hi"), out: think(" me") + say("Hi")},
		{name: "reasoning goes on where the answer began", had: think("Let") + say("H"), new: think("Let me"), differs: true},
		{name: "answer where reasoning was", had: think("Let"), new: say("Let"), differs: true},
		{name: "answer begins earlier", had: think("Let"), new: think("Le") + say("t"), differs: true},
		{
			name: "reasoning and answer in one event", had: think("ab") + say("c"),
			new: "data: " + delta(`{"reasoning_content":"ab","content":"cd"}`) + "\n\n",
			out: "data: " + delta(`{"reasoning_content":"","content":"d"}`) + "\n\n",
		},
		{
			name: "answer is new in an event with the reasoning", had: think("ab"),
			new: "data: " + delta(`{"reasoning_content":"ab","content":"cd"}`) + "\n\n",
			out: "data: " + delta(`{"reasoning_content":"","content":"cd"}`) + "\n\n",
		},
		{name: "tool call in place of text", had: say("a"), new: tool, differs: true},
		{name: "tool call behind the text", had: say("a"), new: say("ab") + tool + stop, out: say("b") + tool + stop},
		{name: "error", had: say("a"), new: "data: {\"error\":{}}\n\nevent: error\ndata: {}\n\n", differs: true},
		{name: "event that is not JSON", had: say("a"), new: "data: {\n\n" + say("ab"), out: say("b")},
		{name: "nothing but a role was sent", had: role, new: role + say("a"), out: role + say("a")},
		{
			name: "line ends and other fields stay", had: say("a"),
			new: "id: 1\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"ab\"}}]} \r\n: x\r\n\r\n",
			out: "id: 1\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"b\"}}]} \r\n: x\r\n\r\n",
		},
		{
			name: "several data lines are written anew", had: say("a"),
			new: "event: x\ndata: {\"choices\":\ndata: [{\"delta\":{\"content\":\"ab\"\ndata: }}]}\n\n",
			out: "event: x\ndata: {\"choices\":\ndata: [{\"delta\":{\"content\":\"b\"\ndata: }}]}\n\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := transcriptOf(t, api.Chat, tc.had)
			if !tr.Resumable() {
				t.Fatal("got a transcript that is not resumable")
			}
			out, differs := replay(t, tr, tc.new)
			if differs != tc.differs {
				t.Fatalf("got differs %v, want %v", differs, tc.differs)
			}
			if !differs && out != tc.out {
				t.Errorf("got\n%s\nwant\n%s", out, tc.out)
			}
		})
	}
}

// Anthropic's events.
func start(i int, typ string) string {
	field := map[string]string{"text": "text", "thinking": "thinking"}[typ]
	return fmt.Sprintf("event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%d,"+
		"\"content_block\":{\"type\":%q,%q:\"\"}}\n\n", i, typ, field)
}

func blockDelta(i int, typ, text string) string {
	return fmt.Sprintf("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%d,"+
		"\"delta\":{\"type\":\"%s_delta\",\"%s\":\"%s\"}}\n\n", i, typ, typ, text)
}

func blockEnd(i int) string {
	return fmt.Sprintf("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%d}\n\n", i)
}

const (
	msgStart = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n"
	msgDelta = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{}}\n\n"
	msgStop  = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	msgPing  = "event: ping\ndata: {\"type\":\"ping\"}\n\n"
)

func TestReplayMessages(t *testing.T) {
	thought := msgStart + start(0, "thinking") + blockDelta(0, "thinking", "Let me") +
		blockDelta(0, "signature", "Eq") + blockEnd(0)
	tail := blockEnd(1) + msgDelta + msgStop
	whole := thought + start(1, "text") + blockDelta(1, "text", "Hello") + blockDelta(1, "text", " you") + tail

	for _, tc := range []struct {
		name          string
		had, new, out string
		differs       bool
	}{
		{name: "nothing but the start", had: msgStart, new: whole, out: strings.TrimPrefix(whole, msgStart)},
		{
			name: "inside the thinking", had: msgStart + start(0, "thinking") + blockDelta(0, "thinking", "Let"), new: whole,
			out: blockDelta(0, "thinking", " me") + strings.TrimPrefix(whole, msgStart+start(0, "thinking")+blockDelta(0, "thinking", "Let me")),
		},
		{
			name: "before the signature", had: msgStart + start(0, "thinking") + blockDelta(0, "thinking", "Let me"), new: whole,
			out: blockDelta(0, "signature", "Eq") + blockEnd(0) + strings.TrimPrefix(whole, thought),
		},
		{
			name: "another signature of the same thinking", had: thought,
			new: strings.Replace(whole, `"Eq"`, `"Xy"`, 1), out: strings.TrimPrefix(whole, thought),
		},
		{name: "between the blocks", had: thought, new: whole, out: strings.TrimPrefix(whole, thought)},
		{
			name: "behind the start of a block", had: thought + start(1, "text"), new: whole,
			out: strings.TrimPrefix(whole, thought+start(1, "text")),
		},
		{
			name: "inside the text", had: thought + start(1, "text") + msgPing + blockDelta(1, "text", "Hello y"), new: whole,
			out: blockDelta(1, "text", "ou") + tail,
		},
		{
			name: "behind the text", had: thought + start(1, "text") + blockDelta(1, "text", "Hello you"), new: whole, out: tail,
		},
		{
			name: "behind the last block", had: thought + start(1, "text") + blockDelta(1, "text", "Hello you") + blockEnd(1),
			new: whole, out: msgDelta + msgStop,
		},
		{name: "all but the stop", had: strings.TrimSuffix(whole, msgStop), new: whole, out: msgStop},
		{name: "pings pass from there on", had: thought, new: msgPing + whole + msgPing, out: strings.TrimPrefix(whole, thought) + msgPing},
		{
			name: "text in another block", had: msgStart + start(0, "text") + blockDelta(0, "text", "Hello"),
			new: msgStart + start(1, "text") + blockDelta(1, "text", "Hello"), differs: true,
		},
		{name: "no thinking this time", had: thought, new: msgStart + start(0, "text") + blockDelta(0, "text", "Hello"), differs: true},
		{
			name: "the block ends earlier", had: msgStart + start(0, "text") + blockDelta(0, "text", "Hello"),
			new: msgStart + start(0, "text") + blockDelta(0, "text", "Hell") + blockEnd(0), differs: true,
		},
		{
			name: "the block ends later", had: msgStart + start(0, "text") + blockDelta(0, "text", "Hell") + blockEnd(0),
			new: msgStart + start(0, "text") + blockDelta(0, "text", "Hello"), differs: true,
		},
		{name: "stop before the text", had: thought, new: msgStart + msgStop, differs: true},
		{
			name: "a tool call where the text was", had: msgStart + start(0, "text") + blockDelta(0, "text", "a"),
			new: msgStart + `data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use"}}` + "\n\n", differs: true,
		},
		{
			name: "text in the start of a block", had: msgStart + start(0, "text") + blockDelta(0, "text", "a"),
			new: msgStart + strings.Replace(start(0, "text"), `"text":""`, `"text":"a"`, 1) + blockDelta(0, "text", "b"),
			out: blockDelta(0, "text", "b"),
		},
		{
			name: "the start of a block cannot be sent again", had: msgStart + start(0, "text") + blockDelta(0, "text", "a"),
			new: msgStart + strings.Replace(start(0, "text"), `"text":""`, `"text":"ab"`, 1), differs: true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := transcriptOf(t, api.Messages, tc.had)
			if !tr.Resumable() {
				t.Fatal("got a transcript that is not resumable")
			}
			out, differs := replay(t, tr, tc.new)
			if differs != tc.differs {
				t.Fatalf("got differs %v, want %v", differs, tc.differs)
			}
			if !differs && out != tc.out {
				t.Errorf("got\n%s\nwant\n%s", out, tc.out)
			}
		})
	}
}

func TestReplayOfWhatCannotBeResumed(t *testing.T) {
	r := NewTranscript(api.Responses).Replay()
	if _, v := r.Next(events(t, api.Responses, say("a"))[0]); v != Differ {
		t.Errorf("got %v, want differ", v)
	}
}

// A server that only pings while it catches up gives nothing to keep.
func TestReplayHoldsNoKeepAlives(t *testing.T) {
	for _, tc := range []struct {
		dialect    api.Dialect
		had, alive string
	}{
		{api.Chat, say("a"), ping},
		{api.Chat, say("a"), "event: ping\ndata: {}\n\n"},
		{api.Messages, start(0, "text") + blockDelta(0, "text", "a"), msgPing},
	} {
		r := transcriptOf(t, tc.dialect, tc.had).Replay()
		for _, ev := range events(t, tc.dialect, strings.Repeat(tc.alive, 100)) {
			if out, v := r.Next(ev); v != Hold || out != nil {
				t.Fatalf("%q: got %v with %q, want hold", tc.alive, v, out)
			}
		}
		if r.CaughtUp() {
			t.Errorf("%q: got a replacement that has caught up by keep-alives", tc.alive)
		}
	}
}

func TestReplayCaughtUp(t *testing.T) {
	r := transcriptOf(t, api.Chat, say("ab")).Replay()
	for i, ev := range events(t, api.Chat, role+say("a")+say("b")+say("c")) {
		r.Next(ev)
		if got, want := r.CaughtUp(), i >= 2; got != want {
			t.Errorf("after event %d: got %v, want %v", i, got, want)
		}
	}
}

func TestVerdictString(t *testing.T) {
	if got := Differ.String() + " " + Verdict(9).String(); got != "differ unknown" {
		t.Errorf("got %q", got)
	}
}

// dialectWriters write an event with a text, given between quotes, for the
// dialects whose streams can be resumed.
var dialectWriters = map[api.Dialect]func(reasoning bool, quoted string) string{
	api.Chat: func(reasoning bool, quoted string) string {
		if reasoning {
			return think(quoted)
		}
		return say(quoted)
	},
	api.Completions: func(_ bool, quoted string) string {
		return `data: {"choices":[{"text":"` + quoted + `","index":0,"finish_reason":null}]}` + "\n\n"
	},
	api.Messages: func(reasoning bool, quoted string) string {
		if reasoning {
			return blockDelta(0, "thinking", quoted)
		}
		return blockDelta(1, "text", quoted)
	},
	api.OllamaChat: func(reasoning bool, quoted string) string {
		if reasoning {
			return `{"message":{"content":"","thinking":"` + quoted + `"},"done":false}` + "\n"
		}
		return `{"message":{"content":"` + quoted + `"},"done":false}` + "\n"
	},
	api.OllamaGenerate: func(_ bool, quoted string) string { return `{"response":"` + quoted + `","done":false}` + "\n" },
}

// textOf is the text that a client puts together from a stream, each channel
// in brackets of its own.
func textOf(t testing.TB, d api.Dialect, stream string) string {
	var out strings.Builder
	last := noPart
	for _, ev := range events(t, d, stream) {
		f := examine(d, ev, make([]item, maxItems))
		if f.kind == Invalid {
			t.Fatalf("got an event that is not JSON: %q", ev.Raw)
		}
		for _, it := range f.items {
			var s string
			if err := json.Unmarshal([]byte(`"`+string(ev.Data[it.from:it.to])+`"`), &s); err != nil {
				t.Fatal(err)
			}
			if it.part != last {
				fmt.Fprintf(&out, "[%d]", it.part)
				last = it.part
			}
			out.WriteString(s)
		}
	}
	return out.String()
}

// The same answer, cut into events and escaped at random, twice cut off and
// resumed anywhere, is the answer.
func TestReplayAnySplit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	write := func(d api.Dialect, thought, text string) (stream []string) {
		for i, part := range []string{thought, text} {
			for runes := []rune(part); len(runes) > 0; {
				n := 1 + rnd.IntN(min(5, len(runes)))
				var quoted strings.Builder
				for _, r := range runes[:n] {
					q, _ := json.Marshal(string(r))
					if s := string(q[1 : len(q)-1]); rnd.IntN(3) > 0 || r > 0xffff {
						quoted.WriteString(s)
					} else {
						fmt.Fprintf(&quoted, `\u%04x`, r)
					}
				}
				stream = append(stream, dialectWriters[d](i == 0, quoted.String()))
				runes = runes[n:]
			}
		}
		return stream
	}
	for d := range dialectWriters {
		t.Run(dialectNames[d], func(t *testing.T) {
			for range 200 {
				thought, text := "Let\tme \"think\" 😀.", "Grüße, \\ 世界!\n<b>&amp;</b>\u2028 😀😀 end"
				if d == api.Completions || d == api.OllamaGenerate {
					thought = ""
				}
				full := write(d, thought, text)
				want := textOf(t, d, strings.Join(full, ""))
				client := strings.Join(full[:rnd.IntN(len(full)+1)], "")
				tr := transcriptOf(t, d, client)
				for cuts := range 3 {
					next := write(d, thought, text)
					if cuts < 2 {
						next = next[:rnd.IntN(len(next)+1)]
					}
					out, differs := replay(t, tr, strings.Join(next, ""))
					if differs {
						t.Fatalf("got differs for %q after %q", next, client)
					}
					client += out
				}
				if got := textOf(t, d, client); got != want {
					t.Fatalf("got  %q\nwant %q", got, want)
				}
			}
		})
	}
}

// No pair of streams makes the client's text anything but the replacement's,
// once that goes beyond what the client has.
func FuzzReplay(f *testing.F) {
	f.Add(byte(api.Chat), role+think("a")+say("He"), role+think("a")+say("Hello")+stop)
	f.Add(byte(api.Chat), say("a\\n"), say(`a\u000ab`)+tool)
	f.Add(byte(api.Messages), msgStart+start(0, "text")+blockDelta(0, "text", "a"), msgStart+start(0, "text")+blockDelta(0, "text", "ab")+msgStop)
	f.Add(byte(api.OllamaChat), `{"message":{"content":"a"}}`+"\n", `{"message":{"thinking":"a","content":"b"}}`+"\n")
	f.Fuzz(func(t *testing.T, dialect byte, had, next string) {
		d := api.Dialect(dialect % 7)
		tr := transcriptOf(t, d, had)
		resumable := tr.Resumable()
		before := string(tr.text)
		r := tr.Replay()
		second := NewTranscript(d)
		for _, ev := range events(t, d, next) {
			out, v := r.Next(ev)
			if v == Differ {
				return
			}
			if !resumable {
				t.Fatalf("got %v for an answer that cannot be resumed", v)
			}
			if v == Pass && len(out) > 0 && !ev.Partial {
				if got := examine(d, events(t, d, string(out))[0], nil); got.kind == Invalid {
					t.Fatalf("got %q, want a whole event", out)
				}
			}
			second.Observe(ev)
		}
		if !tr.Resumable() || !second.Resumable() {
			return
		}
		if r.CaughtUp() && string(tr.text) != string(second.text) {
			t.Fatalf("got the text %q, want the replacement's %q", tr.text, second.text)
		}
		if !r.CaughtUp() && (string(tr.text) != before || !strings.HasPrefix(before, string(second.text))) {
			t.Fatalf("got the text %q from %q and %q", tr.text, before, second.text)
		}
	})
}
