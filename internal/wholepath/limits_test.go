package wholepath

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// limitedBy is a pool p of deployment a with a limit and, behind it, deployment b.
func limitedBy(limit string, a, b *scripted.Upstream) string {
	return fmt.Sprintf("pool p {\n\tdeployment a %s {\n\t\t%s\n\t}\n\tdeployment b %s {\n\t\torder 2\n\t}\n}", a.URL, limit, b.URL)
}

// costing is an answer that says what it has cost.
func costing(input, output int) scripted.Step {
	return scripted.Reply(200, nil, fmt.Sprintf(
		`{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`, input, output))
}

// A burst goes as far as the limit, no further and no less.
func TestBurstKeepsToTheLimit(t *testing.T) {
	a, b := scripted.New(t).Always(scripted.OK("Hi.")), scripted.New(t).Always(scripted.OK("Hi."))
	s := routerWith(t, limitedBy("rpm 20", a, b))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if g, err := tryAsk(t.Context(), s, chatPath, plain); err != nil || g.status != http.StatusOK {
				t.Errorf("got %d %s and error %v, want an answer", g.status, g.body, err)
			}
		})
	}
	wg.Wait()
	if a.Count() != 20 || b.Count() != 80 {
		t.Errorf("got %d and %d requests, want 20 and 80", a.Count(), b.Count())
	}
}

// What counts of tokens is what an answer says that it took, not the estimate.
func TestTokensAreSettled(t *testing.T) {
	long := strings.Replace(plain, "Hi", strings.Repeat("word ", 80), 1) // some 110 tokens by estimate
	for _, test := range []struct {
		name   string
		answer scripted.Step
		body   string
		want   []string
	}{
		{"more than was estimated", costing(500, 480), plain, []string{"a", "b"}},
		{"less than was estimated", costing(5, 5), long, []string{"a", "a", "a", "a", "a", "a", "a", "a", "a", "a"}},
		{"nothing, for a refusal", scripted.Error(500, "server_error", "", "broken"), long, []string{"b", "b", "b", "b"}},
		{"not told", scripted.Reply(200, nil, `{"choices":[]}`), long, []string{"a", "a", "a", "a", "a", "a", "a", "a", "a", "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(test.answer), scripted.New(t).Always(scripted.OK("Hi."))
			s := routerWith(t, "cooldown off\n"+limitedBy("tpm 1000", a, b))
			for i, want := range test.want {
				if got := ask(t, s, chatPath, test.body).header.Get("X-Llm-Deployment"); got != want {
					t.Fatalf("request %d: got an answer of %s, want %s", i, got, want)
				}
			}
		})
	}
}

// A deployment whose provider says that nothing is left is left alone before it has
// to refuse, and asked again when some of it has come back.
func TestProvidersLimitsAreHeeded(t *testing.T) {
	says := func(what, remaining, limit, reset string) scripted.Step {
		header := make(http.Header)
		header.Set("X-Ratelimit-Remaining-"+what, remaining)
		header.Set("X-Ratelimit-Limit-"+what, limit)
		header.Set("X-Ratelimit-Reset-"+what, reset)
		return scripted.Reply(200, header, `{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`)
	}
	for _, test := range []struct {
		name   string
		answer scripted.Step
		want   []string
	}{
		{"no request left", says("Requests", "0", "60", "60s"), []string{"a", "b"}},
		{"two left", says("Requests", "2", "60", "60s"), []string{"a", "a"}},
		{"no tokens left", says("Tokens", "3", "60000", "60s"), []string{"a", "b"}},
		{"tokens left", says("Tokens", "3000", "60000", "60s"), []string{"a", "a"}},
		{"nonsense", says("Requests", "none", "60", "soon"), []string{"a", "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := scripted.New(t).Always(test.answer), scripted.New(t).Always(scripted.OK("Hi."))
			s := routerWith(t, twoInOrder(a, b, ""))
			for i, want := range test.want {
				if got := ask(t, s, chatPath, plain).header.Get("X-Llm-Deployment"); got != want {
					t.Errorf("request %d: got an answer of %s, want %s", i, got, want)
				}
			}
		})
	}
	t.Run("alone, the client is told when", func(t *testing.T) {
		a := scripted.New(t).Always(says("Requests", "0", "2", "60s"))
		s := routerWith(t, alone(a, ""))
		ask(t, s, chatPath, plain)
		g := ask(t, s, chatPath, plain)
		if after := g.header.Get("Retry-After"); g.status != http.StatusTooManyRequests || after != "30" && after != "29" || a.Count() != 1 {
			t.Errorf("got %d, Retry-After %q and %d requests, want a 429 for the 30 s until one of two is back", g.status, after, a.Count())
		}
	})
}
