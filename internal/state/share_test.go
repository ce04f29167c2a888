package state

import (
	"testing"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/redistest"
)

func TestInstancesKnowWhatAllHaveUsed(t *testing.T) {
	server := redistest.Start(t)
	a, b, c := open(t, addrs(server)), open(t, addrs(server)), open(t, addrs(server))
	da, _ := a.attach(t, "pool/one")
	db, _ := b.attach(t, "pool/one")
	dc, _ := c.attach(t, "pool/one")
	other, _ := c.attach(t, "pool/two")

	da.use(3, 100)
	db.use(2, 50)
	for _, d := range []*deployment{da, db, dc} {
		d.knows(t, 5, 150)
	}
	db.use(0, -20) // settled
	dc.use(-1, 0)  // reserved in vain
	for _, d := range []*deployment{da, db, dc} {
		d.knows(t, 4, 130)
	}
	if told, _, _ := other.times(); told > 0 {
		other.knows(t, 0, 0)
	}
	if ttl := plainClient(t, server.Addr()).TTL(t.Context(), "llm_router:{pool/one}:use").Val(); ttl <= time.Minute || ttl > 3*time.Minute {
		t.Errorf("got a time to live of %v, want it longer than a minute, and not forever", ttl)
	}
}

func TestPrefixesDoNotMix(t *testing.T) {
	server := redistest.Start(t)
	a := open(t, addrs(server))
	o := addrs(server)
	o.Prefix = "other:"
	b := open(t, o)
	da, la := a.attach(t, "k")
	db, _ := b.attach(t, "k")
	da.use(3, 3)
	db.use(1, 1)
	la.Cooled(0, time.Minute)
	da.knows(t, 3, 3)
	db.knows(t, 1, 1)
	if _, cooled, _ := db.times(); cooled != 0 {
		t.Errorf("got %d cooldowns, want none of another prefix", cooled)
	}
}

// Thousands of deployments without limits cost Redis nothing.
func TestWhatHasNoLimitsIsNotExchanged(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, addrs(server))
	unlimited, limited := &deployment{unlimited: true}, new(deployment)
	_, detach := s.Attach("unlimited", unlimited)
	defer detach()
	_, detach = s.Attach("limited", limited)
	defer detach()
	limited.use(1, 1)
	redistest.WaitFor(t, "some rounds", func() bool { told, _, _ := limited.times(); return told > 3 })
	if told, _, _ := unlimited.times(); told > 0 {
		t.Errorf("got a deployment without limits told of them %d times, want never", told)
	}
}

// A config and the one that replaces it attach the same deployment.
func TestAttachIsCounted(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, addrs(server))
	d := new(deployment)
	first, detachFirst := s.Attach("k", d)
	second, detachSecond := s.Attach("k", d)
	if first != second {
		t.Error("got two links for one deployment, want one")
	}
	detachFirst()
	detachFirst() // once more is nothing
	d.use(1, 10)
	d.knows(t, 1, 10)
	d.use(1, 10)
	detachSecond()
	redistest.WaitFor(t, "the deployment to be forgotten", func() bool { return len(s.attached(nil)) == 0 })
	if left := plainClient(t, server.Addr()).HLen(t.Context(), "llm_router:{k}:use").Val(); left == 0 {
		t.Error("got nothing in Redis, want what was used")
	}
	other, _ := s.attach(t, "k")
	other.knows(t, 2, 20)
}

// Two deployments of one key, as in two sites of one Caddy, know of each other
// as if they were two instances.
func TestDeploymentsOfOneStoreShare(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, addrs(server))
	a, la := s.attach(t, "k")
	b, _ := s.attach(t, "k")
	a.use(1, 10)
	b.use(2, 20)
	a.knows(t, 3, 30)
	b.knows(t, 3, 30)
	la.Cooled(0, time.Minute)
	redistest.WaitFor(t, "the other one to cool down", func() bool { _, n, _ := b.times(); return n == 1 })
	if _, n, _ := a.times(); n != 0 {
		t.Errorf("got %d cooldowns of its own, want none", n)
	}
}

func TestCloseHandsOverWhatIsLeft(t *testing.T) {
	server := redistest.Start(t)
	a, b := open(t, addrs(server)), open(t, addrs(server))
	da, _ := a.attach(t, "k")
	db, _ := b.attach(t, "k")
	a.waitUp(t)
	da.use(7, 70)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	db.knows(t, 7, 70)
}

func TestNothingIsConnectedBeforeStart(t *testing.T) {
	server := redistest.Start(t)
	s := NewRedis(addrs(server))
	d := new(deployment)
	link, detach := s.Attach("k", d)
	d.use(1, 1)
	link.Cooled(0, time.Minute)
	link.Restored()
	link.PublishResult(true, time.Minute)
	detach()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.Start() // too late
	if got := server.Do(t, "DBSIZE"); got != ":0" {
		t.Errorf("got %s keys, want none", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
