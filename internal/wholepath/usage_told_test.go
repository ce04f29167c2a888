package wholepath

import (
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/caddyharness"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
	"github.com/llmrouter/caddy-llm-router/internal/sse"
)

// An account that cannot be believed is told once, however often and over however
// many reloads.
func TestOddAccountsAreToldOnce(t *testing.T) {
	const invalid = "the usage in an answer cannot be believed; its tokens are not known"
	const silent = "a stream has not told its usage, so that tpm goes by estimates; write `usage_in_stream on` to ask for it"
	f := chatFormat
	negative := scripted.Reply(200, nil, `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-1,"completion_tokens":2}}`)
	huge := f.send(0, withUsage(f.events("one ", strings.Repeat("x", sse.MaxEvent)))...)
	tests := []struct {
		name, block, policy, body string
		step                      scripted.Step
		want                      string
	}{
		{"nonsense", "", "", plain, negative, invalid},
		{"a stream that cannot be read", "", "", streamed, huge, invalid},
		{"no word of it, where tpm is limited", "tpm 100000", "", streamed, f.send(0, f.events("one")...), silent},
		{"no word of it, where nothing is", "", "", streamed, f.send(0, f.events("one")...), ""},
		{"no word of it, although asked for", "tpm 100000", "usage_in_stream on", streamed, f.send(0, f.events("one")...), ""},
		{"a stream that tells", "tpm 100000", "", streamed, f.send(0, withUsage(f.events("one"))...), ""},
		{"an answer without a word of it", "tpm 100000", "", plain, scripted.Reply(200, nil, `{"choices":[{"message":{"content":"x"}}]}`), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := scripted.New(t).Always(tt.step)
			pools := tt.policy + "\npool p {\n\tdeployment a " + a.URL + " {\n\torder 1\n\t" + tt.block + "\n}\n}\n"
			s := caddyharness.Load(t, observed(pools))
			for i := range 4 {
				if i == 2 {
					reload(t, s, observed("deadline 1m\n"+pools))
				}
				ask(t, s, chatPath, tt.body)
			}
			eventually(t, "all to be counted", 5*time.Second, func() bool { return scrape(t, s).sum("requests_total") == 4 })
			for _, msg := range []string{invalid, silent} {
				want := 0
				if msg == tt.want {
					want = 1
				}
				if got := lines(s, msg); len(got) != want {
					t.Errorf("got %d lines %q, want %d", len(got), msg, want)
				}
			}
		})
	}
}
