package state

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

var sessionKind = affinity.NewKind("pool", "test")

func sessionKey(n int) affinity.Key { return affinity.KeyOf(&sessionKind, "", fmt.Sprint(n)) }

// withPool attaches the sessions of a pool of deployments a, b and c.
func (w *watched) withPool(t testing.TB, pool string) *affinity.Sessions {
	t.Helper()
	s := affinity.NewSessions(new(affinity.Table), affinity.Options{TTL: time.Hour, Size: 10_000, Shared: true}, pool, []string{"a", "b", "c"})
	t.Cleanup(w.AttachSessions(pool, s))
	return s
}

// heard waits until a session is on a deployment.
func heard(t testing.TB, s *affinity.Sessions, n int, want string) {
	t.Helper()
	got := ""
	defer func() {
		if t.Failed() {
			t.Logf("session %d: got it on %q, want %q", n, got, want)
		}
	}()
	redistest.WaitFor(t, "the session", func() bool {
		got, _ = s.Find(time.Now(), sessionKey(n))
		return got == want
	})
}

// listening waits until so many stores hear what is told of sessions.
func listening(t testing.TB, server *redistest.Server, stores int) {
	t.Helper()
	client := plainClient(t, server.Addr())
	redistest.WaitFor(t, "the stores to listen", func() bool {
		return client.PubSubNumSub(t.Context(), "llm_router:sessions").Val()["llm_router:sessions"] == int64(stores)
	})
}

func TestInstancesKnowWhereSessionsAre(t *testing.T) {
	server := redistest.Start(t)
	s := []*watched{open(t, addrs(server)), open(t, addrs(server)), open(t, addrs(server))}
	pools := []*affinity.Sessions{s[0].withPool(t, "pool"), s[1].withPool(t, "pool"), s[2].withPool(t, "pool")}
	other := s[1].withPool(t, "another pool")
	listening(t, server, 3)
	pools[0].Bind(time.Now(), sessionKey(1), "a")
	for _, p := range pools {
		heard(t, p, 1, "a")
	}
	pools[2].Bind(time.Now(), sessionKey(1), "b")
	for _, p := range pools {
		heard(t, p, 1, "b")
	}
	if id, ok := other.Find(time.Now(), sessionKey(1)); ok {
		t.Errorf("got the session on %q in another pool, want none", id)
	}
	key := "llm_router:session:" + fmt.Sprintf("%x", sessionKey(1))
	if ttl := plainClient(t, server.Addr()).TTL(t.Context(), key).Val(); ttl < 59*time.Minute || ttl > time.Hour {
		t.Errorf("got a time to live of %v, want the hour that sessions are remembered", ttl)
	}
}

// Whoever has not heard of a session learns with its first answer where it is, and
// moves it nowhere.
func TestNewInstancesLearnWhereSessionsAre(t *testing.T) {
	server := redistest.Start(t)
	first := open(t, addrs(server)).withPool(t, "pool")
	listening(t, server, 1)
	for n := range 50 {
		first.Bind(time.Now(), sessionKey(n), "a")
	}
	client := plainClient(t, server.Addr())
	redistest.WaitFor(t, "all sessions to be told", func() bool { return client.DBSize(t.Context()).Val() >= 50 })
	late := open(t, addrs(server)).withPool(t, "pool")
	listening(t, server, 2)
	for n := range 50 {
		late.Bind(time.Now(), sessionKey(n), "b")
	}
	late.Bind(time.Now(), sessionKey(50), "b")
	for n := range 50 {
		heard(t, late, n, "a")
	}
	heard(t, first, 50, "b") // and so has heard of the others before
	for n := range 50 {
		heard(t, first, n, "a")
	}
	t.Run("and may move them then", func(t *testing.T) {
		late.Bind(time.Now(), sessionKey(7), "c")
		heard(t, first, 7, "c")
		heard(t, late, 7, "c")
	})
}

// Two that have a new session at the same time agree on where it is.
func TestInstancesAgreeOnSessions(t *testing.T) {
	server := redistest.Start(t)
	pools := []*affinity.Sessions{open(t, addrs(server)).withPool(t, "pool"), open(t, addrs(server)).withPool(t, "pool")}
	listening(t, server, 2)
	const sessions = 1500 // more than are told at once
	var wg sync.WaitGroup
	for i, p := range pools {
		wg.Go(func() {
			for n := range sessions {
				p.Bind(time.Now(), sessionKey(n), []string{"a", "b"}[i])
			}
		})
	}
	wg.Wait()
	for n := range sessions {
		redistest.WaitFor(t, "both to agree", func() bool {
			a, _ := pools[0].Find(time.Now(), sessionKey(n))
			b, _ := pools[1].Find(time.Now(), sessionKey(n))
			return a == b
		})
	}
}

func TestSessionsAreToldAfterAnOutage(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	pa, pb := a.withPool(t, "pool"), b.withPool(t, "pool")
	a.waitUp(t)
	b.waitUp(t)
	server.Kill()
	a.waitDown(t)
	b.waitDown(t)
	pa.Bind(time.Now(), sessionKey(1), "a")
	if id, _ := pa.Find(time.Now(), sessionKey(1)); id != "a" {
		t.Errorf("got the session on %q while Redis is away, want a", id)
	}
	server.Restart(t)
	a.waitUp(t)
	b.waitUp(t)
	pb.Bind(time.Now(), sessionKey(1), "b") // without having heard of it, it may be
	redistest.WaitFor(t, "both to agree", func() bool {
		one, _ := pa.Find(time.Now(), sessionKey(1))
		two, _ := pb.Find(time.Now(), sessionKey(1))
		return one == two && one != ""
	})
}

// A Redis that answers and takes no sessions is away, once, however long it lasts.
func TestFullRedisTakesNoSessions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := open(t, addrs(server))
	s := w.withPool(t, "pool")
	w.waitUp(t)
	server.Do(t, "CONFIG", "SET", "maxmemory", "1")
	s.Bind(time.Now(), sessionKey(1), "a")
	w.waitDown(t)
	tried := w.Stats().Failures
	redistest.WaitFor(t, "more rounds", func() bool { return w.Stats().Failures >= tried+4 }) // with pings between them
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	w.waitUp(t)
	w.requireOnce(t)
}

func TestSessionsAreHandedOverWhenAStoreCloses(t *testing.T) {
	server := redistest.Start(t)
	closing := NewRedis(addrs(server))
	s := affinity.NewSessions(new(affinity.Table), affinity.Options{TTL: time.Hour, Size: 100, Shared: true}, "pool", []string{"a"})
	defer closing.AttachSessions("pool", s)()
	closing.Start()
	redistest.WaitFor(t, "Redis to be up", closing.Up)
	s.Bind(time.Now(), sessionKey(1), "a")
	if err := closing.Close(); err != nil {
		t.Fatal(err)
	}
	if got := plainClient(t, server.Addr()).Get(t.Context(), "llm_router:session:"+fmt.Sprintf("%x", sessionKey(1))).Val(); got != "a" {
		t.Errorf("got %q in Redis, want a", got)
	}
}

func TestForeignSessions(t *testing.T) {
	server := redistest.Start(t)
	w := open(t, addrs(server))
	s := w.withPool(t, "pool")
	listening(t, server, 1)
	client := plainClient(t, server.Addr())
	ctx := t.Context()
	key := func(n int) string { return "llm_router:session:" + fmt.Sprintf("%x", sessionKey(n)) }
	client.RPush(ctx, key(1), "a list")
	client.Set(ctx, key(2), strings.Repeat("x", 5000), 0)
	client.Set(ctx, key(3), "nowhere", 0)
	for n := 1; n <= 3; n++ {
		s.Bind(time.Now(), sessionKey(n), "a")
	}
	client.Publish(ctx, "llm_router:sessions", "nonsense")
	client.Publish(ctx, "llm_router:sessions", sessionMessage{sessionKey(4), "pool", "nowhere"}.String())
	client.Publish(ctx, "llm_router:sessions", sessionMessage{sessionKey(5), "pool", "b"}.String())
	heard(t, s, 5, "b")
	redistest.WaitFor(t, "the warning", func() bool { return w.Stats().Foreign >= 2 })
	for n := 1; n <= 3; n++ {
		heard(t, s, n, "a")
	}
	if id, ok := s.Find(time.Now(), sessionKey(4)); ok {
		t.Errorf("got a session on %q, want none on what the pool does not have", id)
	}
	if downs, _, _ := w.seen(); downs != 0 {
		t.Errorf("got %d warnings that Redis is away, want none", downs)
	}
}

// Sessions of a config that goes on are told of, and others are not any more.
func TestDetachedSessionsAreForgotten(t *testing.T) {
	w := &watched{Redis: NewRedis(Options{Addrs: []string{"127.0.0.1:1"}})}
	defer w.Close()
	one, two := affinity.NewSessions(new(affinity.Table), affinity.Options{}, "p", nil), affinity.NewSessions(new(affinity.Table), affinity.Options{}, "p", nil)
	detachOne, detachTwo := w.AttachSessions("p", one), w.AttachSessions("p", two)
	detachOne()
	detachOne()
	if got := w.ofPool("p"); len(got) != 1 || got[0].s != Sessions(two) {
		t.Errorf("got %d attached, want the second alone", len(got))
	}
	detachTwo()
	if len(w.withSessions()) != 0 || len(w.pools) != 0 {
		t.Errorf("got %d pools, want none", len(w.pools))
	}
}

func TestSessionMessages(t *testing.T) {
	for _, want := range []sessionMessage{
		{sessionKey(1), "gpt-4o", "eastus"},
		{sessionKey(2), "a pool/with % and blanks", "a deployment with blanks"},
	} {
		if got, err := parseSession(want.String()); err != nil || got != want {
			t.Errorf("got %+v and %v, want %+v", got, err, want)
		}
	}
	hash := fmt.Sprintf("%x", sessionKey(1))
	for name, text := range map[string]string{
		"nothing":              "",
		"another version":      "2 " + hash + " p a",
		"no deployment":        "1 " + hash + " p ",
		"no pool":              "1 " + hash + " p",
		"a short hash":         "1 " + hash[2:] + " p a",
		"a hash of other text": "1 " + strings.Repeat("x", 32) + " p a",
		"a pool in pieces":     "1 " + hash + " %z a",
		"large":                "1 " + hash + " p " + strings.Repeat("a", maxMessage),
	} {
		if got, err := parseSession(text); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func FuzzSession(f *testing.F) {
	f.Add(sessionMessage{sessionKey(1), "a pool", "a"}.String())
	f.Add("1 00 %zz a")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseSession(text)
		if err != nil {
			return
		}
		if again, err := parseSession(m.String()); len(m.String()) <= maxMessage && (err != nil || again != m) {
			t.Errorf("got %+v and %v, want %+v", again, err, m)
		}
	})
}
