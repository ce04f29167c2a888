package strategies

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestDefaults(t *testing.T) {
	busy, latency, affinity := new(LeastBusy), new(Latency), new(PrefixAffinity)
	for _, m := range []caddy.Provisioner{busy, latency, affinity} {
		if err := m.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
	}
	defer affinity.Cleanup()
	if busy.pick.Tokens {
		t.Error("least_busy counts tokens, want requests")
	}
	if p := latency.pick; p.Buffer != 0.1 || p.Explore != 0.05 || p.Decay != 30*time.Second {
		t.Errorf("got the buffer %v, explore %v, decay %v, want 0.1, 0.05 and 30s", p.Buffer, p.Explore, p.Decay)
	}
	if p := affinity.pick; p.Balance != 1.25 || p.Table == nil {
		t.Errorf("got the balance %v and table %v, want 1.25 and one", p.Balance, p.Table)
	}
}

func TestJSONIsChecked(t *testing.T) {
	negative, large := -1.0, 101.0
	for want, m := range map[string]caddy.Provisioner{
		`by is "prompts"`:       &LeastBusy{By: "prompts"},
		"buffer is -1":          &Latency{Buffer: &negative},
		"explore is 101":        &Latency{Explore: &large},
		"decay is negative":     &Latency{Decay: -1},
		"memory is 1024":        &PrefixAffinity{Memory: 1024},
		"memory is -1":          &PrefixAffinity{Memory: -1},
		"memory is 17179869185": &PrefixAffinity{Memory: maxMemory + 1},
		"ttl is negative":       &PrefixAffinity{TTL: -1},
		"balance is 0.5":        &PrefixAffinity{Balance: 0.5},
	} {
		if err := m.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got the error %v, want %q", err, want)
		}
		if c, ok := m.(caddy.CleanerUpper); ok { // follows a Provision that failed, too
			if err := c.Cleanup(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Pools with the same options share a table, which lasts as long as anybody has it.
func TestTablesAreShared(t *testing.T) {
	provision := func(memory int64) *PrefixAffinity {
		p := &PrefixAffinity{Memory: memory}
		if err := p.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b, other := provision(1<<17), provision(1<<17), provision(1<<18)
	if a.pick.Table != b.pick.Table || a.pick.Table == other.pick.Table {
		t.Error("got other tables, want one for the same memory only")
	}
	for _, p := range []*PrefixAffinity{a, a, other} {
		if err := p.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	c := provision(1 << 17)
	if c.pick.Table != b.pick.Table {
		t.Error("got another table while one pool still has it")
	}
	for _, p := range []*PrefixAffinity{b, c} {
		if err := p.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	d := provision(1 << 17)
	defer d.Cleanup()
	if d.pick.Table == b.pick.Table {
		t.Error("got the table of pools that are gone, want a new one")
	}
}
