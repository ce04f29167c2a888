package strategies

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/llmrouter/caddy-llm-router/selection"
)

func init() {
	caddy.RegisterModule(PrefixAffinity{})
}

// PrefixAffinity picks the deployment that is through with reading the prompt
// first, for servers that keep the prompts that they have read in a cache. What a
// deployment has to read of a prompt, without the beginning that it was sent before,
// is added to the prompts that wait there to be read, for its weight. So a
// conversation stays where it is, unless that place is busier than the cache is
// worth. Of equals it picks the one with the least in flight.
type PrefixAffinity struct {
	// The memory, in bytes, for the beginnings of prompts and who was sent them: 32
	// for one, of which a prompt has one for each 256 bytes up to 4 KiB and for each
	// 6 % from there on. Those that were sent longest ago are forgotten. Pools
	// with the same memory and ttl share it. Default: 16 MiB.
	Memory int64 `json:"memory,omitempty"`

	// How long a deployment is taken to have a beginning in its cache that it was
	// not sent again. Default: `10m`.
	TTL caddy.Duration `json:"ttl,omitempty"`

	// A deployment that would carry more than this times its share of the requests
	// in flight, and at least four more than its share, comes after all others.
	// Default: 1.25.
	Balance float64 `json:"balance,omitempty"`

	pick selection.PrefixAffinity
	held any // the key of the table that is held; nil for none
}

const (
	defaultMemory  = 16 << 20
	minMemory      = 64 << 10
	maxMemory      = 16 << 30
	defaultTTL     = 10 * time.Minute
	defaultBalance = 1.25
	maxBalance     = 1000
)

// tables are the tables of prefixes, which go on from one config to the next.
var tables = caddy.NewUsagePool()

type tableKey struct {
	memory int64
	ttl    time.Duration
}

type table struct{ *selection.PrefixTable }

// Destruct implements caddy.Destructor.
func (table) Destruct() error { return nil }

// CaddyModule returns the Caddy module information.
func (PrefixAffinity) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.llm_router.strategies.prefix_affinity",
		New: func() caddy.Module { return new(PrefixAffinity) },
	}
}

// UnmarshalCaddyfile sets up the strategy:
//
//	prefix_affinity {
//		memory  <size>
//		ttl     <duration>
//		balance <factor>
//	}
func (p *PrefixAffinity) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return unmarshal(d, map[string]option{
		"memory": size(&p.Memory), "ttl": duration(&p.TTL), "balance": factor(&p.Balance),
	})
}

// Provision implements caddy.Provisioner.
func (p *PrefixAffinity) Provision(caddy.Context) error {
	key := tableKey{defaultMemory, defaultTTL}
	if p.Memory != 0 {
		key.memory = p.Memory
	}
	if p.TTL != 0 {
		key.ttl = time.Duration(p.TTL)
	}
	p.pick.Balance = defaultBalance
	if p.Balance != 0 {
		p.pick.Balance = p.Balance
	}
	switch {
	case key.memory < minMemory, key.memory > maxMemory:
		return fmt.Errorf("memory is %d; expected from %d to %d bytes", p.Memory, minMemory, int64(maxMemory))
	case key.ttl < 0:
		return errors.New("ttl is negative")
	case !(p.pick.Balance >= 1 && p.pick.Balance <= maxBalance):
		return fmt.Errorf("balance is %v; expected from 1 to %d", p.Balance, maxBalance)
	}
	shared, _, err := tables.LoadOrNew(key, func() (caddy.Destructor, error) {
		return table{selection.NewPrefixTable(key.memory, key.ttl)}, nil
	})
	if err != nil {
		return err
	}
	p.held, p.pick.Table = key, shared.(table).PrefixTable
	return nil
}

// Cleanup implements caddy.CleanerUpper. It also follows a Provision that failed.
func (p *PrefixAffinity) Cleanup() error {
	if p.held == nil {
		return nil
	}
	key := p.held
	p.held = nil
	_, err := tables.Delete(key)
	return err
}

// Pick implements selection.Strategy.
func (p *PrefixAffinity) Pick(q *selection.Query, usable []*selection.Candidate) *selection.Candidate {
	return p.pick.Pick(q, usable)
}

// Sent implements selection.Watcher.
func (p *PrefixAffinity) Sent(q *selection.Query, c *selection.Candidate) (unread int) {
	return p.pick.Sent(q, c)
}

// Interface guards
var (
	_ selection.Watcher     = (*PrefixAffinity)(nil)
	_ caddy.Provisioner     = (*PrefixAffinity)(nil)
	_ caddy.CleanerUpper    = (*PrefixAffinity)(nil)
	_ caddyfile.Unmarshaler = (*PrefixAffinity)(nil)
)
