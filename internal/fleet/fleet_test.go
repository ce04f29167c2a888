package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/internal/scripted"
)

// fleet are Caddys with the same pools and the same Redis.
type fleet []*instance

// names are those of three instances.
var names = []string{"a", "b", "c"}

// start runs three instances with this text in the global option.
func start(t testing.TB, global, pools string) fleet {
	t.Helper()
	f, failures := make(fleet, len(names)), make([]error, len(names))
	var wg sync.WaitGroup
	for n, name := range names {
		f[n] = newInstance(t, name)
		wg.Go(func() { failures[n] = f[n].launch(global, pools) })
	}
	wg.Wait()
	for n, err := range failures {
		if err != nil {
			t.Fatalf("instance %s: %v; its log:\n%s", names[n], err, f[n].wholeLog())
		}
	}
	return f
}

// connected waits until all instances hear what others tell.
func (f fleet) connected(t testing.TB, servers ...*redistest.Server) {
	t.Helper()
	const listeners = `return redis.call('PUBSUB', 'NUMSUB', 'llm_router:events')[2]`
	redistest.WaitFor(t, "all instances to be connected", func() bool {
		sum := 0
		for _, s := range servers {
			answer, _ := s.TryDo("EVAL", listeners, "0")
			n, _ := strconv.Atoi(strings.TrimPrefix(answer, ":"))
			sum += n
		}
		return sum == len(f)
	})
}

// said waits until every instance has logged so many lines of a level about the
// shared state.
func (f fleet) said(t testing.TB, level string, lines int) {
	t.Helper()
	for _, i := range f {
		redistest.WaitFor(t, fmt.Sprintf("%d lines of level %s of instance %s", lines, level, i.name), func() bool {
			return i.said(level) >= lines
		})
	}
}

// saidNoMore checks that there was no line more than that.
func (f fleet) saidNoMore(t testing.TB, warnings, infos int) {
	t.Helper()
	for _, i := range f {
		if w, n := i.said("warn"), i.said("info"); w != warnings || n != infos {
			t.Errorf("instance %s: got %d warnings and %d all-clears, want %d and %d; its log:\n%s", i.name, w, n, warnings, infos, i.wholeLog())
		}
	}
}

// twoInOrder is a pool of two deployments, the second of which serves when the
// first does not.
func twoInOrder(name string, first, second *scripted.Upstream, options string) string {
	return fmt.Sprintf("pool %s {\n deployment first %s {\n %s\n }\n deployment second %s {\n order 2\n }\n}\n", name, first.URL, options, second.URL)
}

// slowDown is a refusal that cools a deployment.
func slowDown(wait time.Duration) scripted.Step {
	return scripted.Reply(429, map[string][]string{"Retry-After": {strconv.Itoa(int(wait.Seconds()))}},
		`{"error":{"message":"Slow down.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
}

// spreads lets the first deployment of a pool refuse a request of one instance,
// and measures how long it takes until all others leave it alone.
func (f fleet) spreads(t testing.TB, from int, pool string, first *scripted.Upstream) time.Duration {
	t.Helper()
	first.Then(slowDown(5 * time.Minute))
	if g := f[from].ask(pool); g.err != nil || g.deployment != "second" {
		t.Fatalf("got %+v of instance %s, want an answer of the second deployment", g, f[from].name)
	}
	began := time.Now()
	for _, i := range f {
		redistest.WaitFor(t, "the cooldown at instance "+i.name, func() bool {
			g := i.ask(pool)
			if g.err != nil || g.status != 200 {
				t.Fatalf("got %+v of instance %s, want an answer", g, i.name)
			}
			return g.deployment == "second"
		})
	}
	return time.Since(began)
}

// load asks all instances in turn, so many times a second in total, until it is
// ended.
type load struct {
	stop     chan struct{}
	ended    sync.WaitGroup
	statuses [600]atomic.Int64 // 0: no answer

	mu    sync.Mutex
	worst got
	took  []time.Duration
}

func (f fleet) load(model string, perSecond int) *load {
	l := &load{stop: make(chan struct{})}
	l.ended.Go(func() {
		begin, every := time.Now(), time.Second/time.Duration(perSecond)
		for n := 0; ; n++ {
			select {
			case <-l.stop:
				return
			case <-time.After(time.Until(begin.Add(time.Duration(n) * every))):
			}
			l.ended.Go(func() { l.note(f[n%len(f)].ask(model)) })
		}
	})
	return l
}

func (l *load) note(g got) {
	l.statuses[g.status].Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, g.took)
	if g.took > l.worst.took || g.err != nil {
		l.worst = g
	}
}

// goesOn waits until another hundred requests have been answered.
func (l *load) goesOn(t testing.TB) {
	t.Helper()
	before := l.statuses[200].Load()
	redistest.WaitFor(t, "a hundred more answers", func() bool { return l.statuses[200].Load() >= before+100 })
}

// end waits for the last answer, and gives how many there were of each status.
func (l *load) end() map[int]int64 {
	close(l.stop)
	l.ended.Wait()
	statuses := make(map[int]int64)
	for status := range l.statuses {
		if n := l.statuses[status].Load(); n > 0 {
			statuses[status] = n
		}
	}
	slices.Sort(l.took)
	return statuses
}

// maxLatency bounds how long a request may take whatever becomes of Redis. Only a
// request that waits for it takes that long.
const maxLatency = 5 * time.Second

// wantUnharmed ends the load and checks that every request was answered in time.
func (l *load) wantUnharmed(t testing.TB) {
	t.Helper()
	statuses := l.end()
	n := len(l.took)
	if n == 0 || statuses[200] != int64(n) || l.worst.took > maxLatency {
		t.Errorf("got %v answers by status, want 200 only; the worst %+v", statuses, l.worst)
	}
	t.Logf("%d requests: median %v, 99th percentile %v, longest %v", n, l.took[n/2], l.took[n*99/100], l.took[n-1])
}
