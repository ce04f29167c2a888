package state

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// deployment is what a router's deployment does with what it shares.
type deployment struct {
	mu       sync.Mutex
	pending  []Spent // as of noted
	noted    time.Time
	given    int64   // requests given back
	shared   []Spent // the last minute that it was told
	told     int     // how often
	cooled   []time.Duration
	class    retry.Class
	restored int

	unlimited bool
}

func (d *deployment) use(requests, tokens int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = append(d.pending, spent(0, requests, tokens))
}

func (d *deployment) Counts() bool { return !d.unlimited }

func (d *deployment) TakeSpent(_ time.Time, dst []Spent) []Spent {
	d.mu.Lock()
	defer d.mu.Unlock()
	dst = append(dst, d.pending...)
	d.pending = nil
	return dst
}

func (d *deployment) Untake(_ time.Time, spent []Spent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range spent {
		d.given += s.Requests
	}
	d.pending = append(d.pending, spent...)
}

func (d *deployment) SetShared(_ time.Time, minute []Spent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shared = slices.Clone(minute)
	d.told++
}

func (d *deployment) CoolUntil(_ time.Time, class retry.Class, left time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.class = class
	d.cooled = append(d.cooled, left)
}

func (d *deployment) Restored(time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.restored++
}

// sums are what the deployment believes all instances have used.
func (d *deployment) sums() (requests, tokens int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.shared {
		requests += s.Requests
		tokens += s.Tokens
	}
	return requests, tokens
}

func (d *deployment) times() (told, cooled, restored int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.told, len(d.cooled), d.restored
}

// knows waits until the deployment has been told of so much.
func (d *deployment) knows(t testing.TB, requests, tokens int64) {
	t.Helper()
	var r, n int64
	defer func() {
		if t.Failed() {
			t.Logf("got %d requests and %d tokens, want %d and %d", r, n, requests, tokens)
		}
	}()
	redistest.WaitFor(t, "the sums of all instances", func() bool {
		r, n = d.sums()
		return r == requests && n == tokens
	})
}

// watched is a store whose changes are counted.
type watched struct {
	*Redis
	mu                 sync.Mutex
	downs, ups, others int
	last               error
}

func (w *watched) seen() (downs, ups, foreign int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.downs, w.ups, w.others
}

// warning waits for the first warning.
func (w *watched) warning(t testing.TB) error {
	t.Helper()
	redistest.WaitFor(t, "a warning", func() bool { downs, _, _ := w.seen(); return downs > 0 })
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// open makes a store for a server and starts it.
func open(t testing.TB, o Options) *watched {
	t.Helper()
	w := &watched{Redis: NewRedis(o)}
	count := func(n *int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		*n++
	}
	w.Observe(Observer{
		Down: func(err error) {
			w.mu.Lock()
			w.last = err
			w.mu.Unlock()
			count(&w.downs)
		},
		Up:      func(time.Duration) { count(&w.ups) },
		Foreign: func(string) { count(&w.others) },
	})
	t.Cleanup(func() {
		begin := time.Now()
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("closing took %v", took)
		}
	})
	w.Start()
	return w
}

func (w *watched) waitUp(t testing.TB)   { redistest.WaitFor(t, "Redis to be up", w.Up) }
func (w *watched) waitDown(t testing.TB) { redistest.WaitFor(t, "Redis to be down", w.breaker.down) }

// attach attaches a new deployment.
func (w *watched) attach(t testing.TB, key string) (*deployment, Link) {
	t.Helper()
	d := new(deployment)
	link, detach := w.Attach(key, d)
	t.Cleanup(detach)
	return d, link
}

func addrs(servers ...*redistest.Server) Options {
	var o Options
	for _, s := range servers {
		o.Addrs = append(o.Addrs, s.Addr())
	}
	return o
}

func plainClient(t testing.TB, addr string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { c.Close() })
	return c
}
