package upstreams

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/state"
	"github.com/llmrouter/caddy-llm-router/selection"
)

func sharedKeyOf(t *testing.T, pool string, d Deployment) string {
	t.Helper()
	if err := d.resolve(); err != nil {
		t.Fatal(err)
	}
	return d.sharedKey(pool)
}

func TestSharedKey(t *testing.T) {
	t.Setenv("LLM_ROUTER_TEST_HOST", "gpu-1")
	const address = "http://gpu-1:8000/v1?key=secret"
	plain := sharedKeyOf(t, "p", Deployment{ID: "a", BaseURL: address, Model: "m"})
	if !strings.HasPrefix(plain, "p/a/") || strings.Contains(plain, "gpu-1") || strings.Contains(plain, "secret") {
		t.Errorf("got %q, want the pool and the id, and nothing of the address", plain)
	}
	for name, same := range map[string]Deployment{
		"another key":            {ID: "a", BaseURL: address, Model: "m", APIKey: "k"},
		"other limits":           {ID: "a", BaseURL: address, Model: "m", RPM: 5, MaxParallel: 2},
		"another spelling of it": {ID: "a", BaseURL: "http://{env.LLM_ROUTER_TEST_HOST}:8000/v1?key=secret", Model: "m"},
	} {
		if got := sharedKeyOf(t, "p", same); got != plain {
			t.Errorf("%s: got %q, want the same key %q", name, got, plain)
		}
	}
	seen := map[string]string{plain: "the first"}
	for name, other := range map[string]struct {
		pool string
		d    Deployment
	}{
		"another pool":    {"q", Deployment{ID: "a", BaseURL: address, Model: "m"}},
		"another id":      {"p", Deployment{ID: "b", BaseURL: address, Model: "m"}},
		"another address": {"p", Deployment{ID: "a", BaseURL: "http://gpu-2:8000/v1?key=secret", Model: "m"}},
		"another model":   {"p", Deployment{ID: "a", BaseURL: address, Model: "n"}},
		"a slash":         {"p/a", Deployment{ID: "b", BaseURL: address, Model: "m"}},
		"its counterpart": {"p", Deployment{ID: "a/b", BaseURL: address, Model: "m"}},
		"a long id":       {"p", Deployment{ID: strings.Repeat("x", 3000), BaseURL: address, Model: "m"}},
		"a longer id":     {"p", Deployment{ID: strings.Repeat("x", 3001), BaseURL: address, Model: "m"}},
	} {
		key := sharedKeyOf(t, other.pool, other.d)
		if seen[key] != "" {
			t.Errorf("%s: got the key of %s", name, seen[key])
		}
		if seen[key] = name; len(key) > 200 {
			t.Errorf("%s: got a key of %d bytes, want it bounded", name, len(key))
		}
	}
}

// What every machine has an own one of at the same address is not the same.
func TestMachine(t *testing.T) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		t.Skip("this machine has no name")
	}
	for address, want := range map[string]string{
		"http://localhost:8000/v1":  host,
		"http://127.0.0.1:8000":     host,
		"https://127.3.2.1":         host,
		"http://[::1]:8000":         host,
		"unix//run/vllm.sock":       host,
		"http://gpu-1:8000/v1":      "",
		"http://10.0.0.7:8000/v1":   "",
		"http://[2001:db8::1]:8000": "",
		"http://localhost.example":  "",
		"https://api.openai.com/v1": "",
	} {
		b, err := parseBaseURL(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.machine(); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
	if got := new(baseURL).machine(); got != "" {
		t.Errorf("no address: got %q, want none", got)
	}
}

// noon is a moment to test at.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// countingStore counts who is attached.
type countingStore struct {
	state.Store
	attached map[string]int
}

func (s *countingStore) Attach(key string, d state.Shared) (state.Link, func()) {
	s.attached[key]++
	link, _ := state.Alone{}.Attach(key, d)
	return link, func() { s.attached[key]-- }
}

func (s *countingStore) AttachSessions(pool string, _ state.Sessions) func() {
	s.attached[pool]++
	return sync.OnceFunc(func() { s.attached[pool]-- })
}

func TestShare(t *testing.T) {
	for _, test := range []struct {
		name   string
		store  state.Store
		rpm    int64
		others bool // hear of cooldowns
		shares bool // what was used
	}{
		{"alone", state.Alone{}, 5, false, false},
		{"with others", &countingStore{attached: make(map[string]int)}, 5, true, true},
		{"without limits", &countingStore{attached: make(map[string]int)}, 0, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &Deployment{ID: "a", BaseURL: "http://h", RPM: test.rpm}
			known := new(selection.State)
			c := selection.NewCandidate("a", known)
			c.Limiter = known.Minute.Limit(test.rpm, 0)
			d.share(test.store, "p", known)
			d.sharing.joinOthers(c, false)
			if (c.Others != nil) != test.others {
				t.Errorf("got others %v, want some: %v", c.Others, test.others)
			}
			if c.Limiter != nil {
				if _, ok := c.Limiter.Reserve(noon, 0); !ok {
					t.Fatal("the first request does not fit")
				}
			}
			if got := known.TakeSpent(noon, nil); (len(got) > 0) != test.shares || known.Counts() != test.shares {
				t.Errorf("got %v to tell the others, and counting %v; want something: %v", got, known.Counts(), test.shares)
			}
			counting, ok := test.store.(*countingStore)
			if ok && counting.attached[d.sharedKey("p")] != 1 {
				t.Errorf("got %v attached, want the deployment once", counting.attached)
			}
			for range 2 { // Caddy cleans up what failed, too
				if err := d.cleanup(); err != nil {
					t.Fatal(err)
				}
			}
			if ok && counting.attached[d.sharedKey("p")] != 0 {
				t.Errorf("got %v attached after the cleanup, want nothing", counting.attached)
			}
		})
	}
}

// refusing is a link to others who have used everything up.
type refusing struct{ state.Link }

func (refusing) Reserve(context.Context, int64, int64, int64) (bool, time.Duration, error) {
	return false, time.Second, nil
}

func TestStrictAsksFirst(t *testing.T) {
	for _, strict := range []bool{false, true} {
		known := new(selection.State)
		c := selection.NewCandidate("a", known)
		c.Limiter = known.Minute.Limit(5, 0)
		s := sharing{link: refusing{}}
		s.joinOthers(c, strict)
		r, ok := c.Limiter.Reserve(noon, 0)
		if !ok {
			t.Fatal("the first request does not fit")
		}
		if _, ok := r.Confirm(t.Context()); ok == strict {
			t.Errorf("strict %v: got a request let through: %v", strict, ok)
		}
	}
}
