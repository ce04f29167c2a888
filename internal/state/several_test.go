package state

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
	"github.com/llmrouter/caddy-llm-router/retry"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, 3)
	o := addrs(nodes...)
	o.Timeout = 5 * time.Second
	one := o
	one.Addrs = []string{nodes[0].Addr(), nodes[0].Addr()} // all that b is told of the Cluster
	a, b := open(t, o), open(t, one)
	type pair struct {
		da, db *deployment
		la, lb Link
	}
	var pairs []pair
	for i := range 20 { // on all nodes
		key := fmt.Sprintf("pool {x}/%d", i)
		var p pair
		p.da, p.la = a.attach(t, key)
		p.db, p.lb = b.attach(t, key)
		pairs = append(pairs, p)
	}
	sa, sb := a.withPool(t, "pool {x}"), b.withPool(t, "pool {x}")
	a.listens(t)
	b.listens(t)
	a.waitUp(t)
	for i, p := range pairs {
		sa.Bind(time.Now(), sessionKey(i), "a")
		p.da.use(int64(i), 10)
		p.db.use(1, 10)
		p.la.Cooled(retry.Overloaded, time.Minute)
		p.lb.PublishResult(false, time.Minute)
		if leads, err := p.la.Lead(t.Context(), time.Minute); err != nil || !leads {
			t.Errorf("%d: got %v and %v, want the lease", i, leads, err)
		}
	}
	for i, p := range pairs {
		heard(t, sb, i, "a")
		p.da.knows(t, int64(i)+1, 20)
		p.db.knows(t, int64(i)+1, 20)
		redistest.WaitFor(t, "the cooldown", func() bool { _, n, _ := p.db.times(); return n == 1 })
		redistest.WaitFor(t, "the result", func() bool { healthy, _, ok := p.la.Result(); return ok && !healthy })
		ok, _, err := p.lb.Reserve(t.Context(), int64(i)+2, 0, 1)
		if err != nil || !ok {
			t.Errorf("%d: got %v and %v, want the last request to fit", i, ok, err)
		}
		if ok, _, err = p.la.Reserve(t.Context(), int64(i)+2, 0, 1); err != nil || ok {
			t.Errorf("%d: got %v and %v, want no more requests", i, ok, err)
		}
	}
	for i, node := range nodes {
		if node.Do(t, "DBSIZE") == ":0" {
			t.Errorf("got no keys on node %d, want some on each", i)
		}
	}

	nodes[1].Kill()
	a.waitDown(t)
	nodes[1].Restart(t)
	a.waitUp(t)
	for _, p := range pairs {
		p.da.use(1000, 0)
	}
	for _, p := range pairs {
		redistest.WaitFor(t, "what was used since", func() bool { r, _ := p.db.sums(); return r >= 1000 })
	}
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t)
	o := addrs(sentinel.Server)
	o.Master = sentinel.Name
	a, b := open(t, o), open(t, o)
	da, la := a.attach(t, "k")
	db, _ := b.attach(t, "k")
	da.use(5, 50)
	db.knows(t, 5, 50)
	a.listens(t)
	b.listens(t)
	redistest.WaitFor(t, "the replica to have it", func() bool {
		return plainClient(t, sentinel.Replica.Addr()).Exists(t.Context(), "llm_router:{k}:use").Val() == 1
	})

	sentinel.Master.Kill()
	da.use(2, 20)
	a.waitDown(t)
	la.Cooled(retry.RateLimit, time.Minute)
	a.waitUp(t)
	db.knows(t, 7, 70)
	redistest.WaitFor(t, "the cooldown", func() bool { _, n, _ := db.times(); return n == 1 })
	a.requireOnce(t)
}

// A user with the rights that the documents list can do everything.
func TestUserWithFewRights(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/state.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile(`(?m)^ACL SETUSER router .*$`).FindString(string(text))
	if rule == "" {
		t.Fatal("the documents have no line with the rights of a user")
	}
	server := redistest.Start(t)
	server.Do(t, strings.Fields(rule)...)
	server.Do(t, "ACL", "SETUSER", "default", "off")
	o, err := ParseURLs([]string{"redis://router:password@" + server.Addr() + "/1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	a, b := open(t, o), open(t, o)
	da, la := a.attach(t, "k")
	db, lb := b.attach(t, "k")
	b.listens(t)
	da.use(1, 10)
	db.knows(t, 1, 10)
	la.Cooled(retry.RateLimit, time.Minute)
	redistest.WaitFor(t, "the cooldown", func() bool { _, n, _ := db.times(); return n == 1 })
	la.Restored()
	redistest.WaitFor(t, "the end", func() bool { _, _, n := db.times(); return n == 1 })
	la.PublishResult(true, time.Minute)
	redistest.WaitFor(t, "the result", func() bool { _, _, ok := lb.Result(); return ok })
	for range 2 {
		if leads, err := la.Lead(t.Context(), time.Minute); err != nil || !leads {
			t.Errorf("got %v and %v, want the lease", leads, err)
		}
	}
	if ok, _, err := la.Reserve(t.Context(), 1, 0, 1); err != nil || ok {
		t.Errorf("got %v and %v, want a refusal", ok, err)
	}
	pa, pb := a.withPool(t, "pool"), b.withPool(t, "pool")
	pa.Bind(time.Now(), sessionKey(1), "a")
	heard(t, pb, 1, "a")
	pa.Bind(time.Now(), sessionKey(1), "b")
	heard(t, pb, 1, "b")
	a.Values().Keep("k", []byte("x"), time.Minute)
	b.holds(t, "k", "x")
	if downs, _, _ := a.seen(); downs != 0 {
		t.Errorf("got an outage: %v", a.last)
	}
}

func TestTLS(t *testing.T) {
	cert := newCertificate(t)
	port := strconv.Itoa(redistest.FreePort(t))
	redistest.Start(t, "--tls-port", port, "--tls-cert-file", cert.certFile, "--tls-key-file", cert.keyFile, "--tls-ca-cert-file", cert.certFile, "--tls-auth-clients", "no")
	o, err := ParseURLs([]string{"rediss://127.0.0.1:" + port}, false)
	if err != nil {
		t.Fatal(err)
	}
	stranger := open(t, o) // does not trust the certificate
	stranger.attach(t, "k")
	stranger.waitDown(t)
	if last := stranger.warning(t); !strings.Contains(last.Error(), "certificate") {
		t.Errorf("got the warning %v, want one of the certificate", last)
	}
	o.TLS = o.TLS.Clone()
	o.TLS.RootCAs = cert.pool
	s := open(t, o)
	d, _ := s.attach(t, "k")
	d.use(1, 10)
	d.knows(t, 1, 10)
}
