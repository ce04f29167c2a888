package fleet

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// limited is a pool of one deployment with this many requests per minute.
func limited(name string, u *scripted.Upstream, rpm int) string {
	return fmt.Sprintf("pool %s {\n deployment d %s {\n rpm %d\n }\n}\n", name, u.URL, rpm)
}

// burst sends so many requests at once, spread over the instances, and checks
// that exactly limit of them reach the upstream.
func (f fleet) burst(t testing.TB, model string, requests, limit int) {
	t.Helper()
	const clients = 150
	var all load
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := c; n < requests; n += clients {
				g := f[n%len(f)].ask(model)
				if wait, err := strconv.Atoi(g.retryAfter); g.status == 429 && (err != nil || wait < 1 || wait > 61) {
					t.Errorf("got a refusal with Retry-After %q, want one within the minute", g.retryAfter)
				}
				all.note(g)
			}
		})
	}
	wg.Wait()
	good, refused := int(all.statuses[200].Load()), int(all.statuses[429].Load())
	if good != limit || refused != requests-limit {
		t.Errorf("%s: got %d answers and %d refusals, want exactly %d and %d; the worst %+v", model, good, refused, limit, requests-limit, all.worst)
	}
}

// strictly is the option for exact limits, with patience for a busy machine.
func strictly(urls string) string { return "redis " + urls + " {\n strict\n timeout 1s\n}" }

func TestStrictLimitsHoldExactly(t *testing.T) {
	server, u := redistest.Start(t), scripted.New(t)
	f := start(t, strictly(server.URL()), limited("p", u, 300))
	f.connected(t, server)
	f.burst(t, "p", 1500, 300)
	if got := u.Count(); got != 300 {
		t.Errorf("got %d requests of the upstream, want exactly 300", got)
	}
	f.saidNoMore(t, 0, 0)
}

// Without strict, the instances overstep a limit by what arrives between two
// exchanges: at a thousand requests a second no more than a twentieth of 6,000.
func TestLimitsHoldNearly(t *testing.T) {
	const rpm, perSecond, most = 6000, 1000, 6300
	server, u := redistest.Start(t), scripted.New(t)
	f := start(t, "redis "+server.URL(), limited("p", u, rpm))
	f.connected(t, server)
	begin := time.Now()
	l := f.load("p", perSecond)
	redistest.WaitFor(t, "the limit to be reached", func() bool { return l.statuses[200].Load() >= rpm })
	reached := time.Since(begin)
	refused := l.statuses[429].Load()
	redistest.WaitFor(t, "a thousand refusals", func() bool { return l.statuses[429].Load() >= refused+1000 })
	statuses := l.end()
	if u.Count() > most || statuses[200]+statuses[429] != int64(len(l.took)) {
		t.Errorf("got %d requests of the upstream and %v answers by status, want at most %d, and 200 and 429 only", u.Count(), statuses, most)
	}
	t.Logf("%.0f requests a second reached the limit of %d after %v, and overstepped it by %.1f %%",
		rpm/reached.Seconds(), rpm, reached, 100*float64(u.Count()-rpm)/rpm)
}
