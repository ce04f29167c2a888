package upstreams

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/state"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// sharing is a deployment's connection with itself in other instances. Where an
// instance is alone there is none.
type sharing struct {
	link   state.Link
	detach func()
}

// share connects the deployment with itself in other instances, if there are any
// to share with.
func (d *Deployment) share(store state.Store, pool string, known *selection.State) {
	if _, alone := store.(state.Alone); alone {
		return
	}
	d.sharing.link, d.sharing.detach = store.Attach(d.sharedKey(pool), known)
}

// end undoes what share did, if it did anything.
func (s *sharing) end() {
	if s.detach != nil {
		s.detach()
		*s = sharing{}
	}
}

// joinOthers makes the candidate's limits and cooldowns those of all instances.
func (s *sharing) joinOthers(c *selection.Candidate, strict bool) {
	if s.link == nil {
		return
	}
	c.Others = s.link
	if c.Limiter == nil {
		return
	}
	c.Minute.Share()
	if strict {
		c.Limiter.AskFirst(s.link)
	}
}

// maxKeyPart bounds how much of a name is shown in a key, which the hash in it
// has in full.
const maxKeyPart = 64

// sharedKey is the deployment's name among instances, the same in all that have
// it: under this pool and id, at this address, with this model. The address and
// the model are in it as a hash, as keys are seen by whoever may look into
// Redis, and an address may have a secret in its query.
func (d *Deployment) sharedKey(pool string) string {
	hash := sha256.New()
	for _, part := range []string{pool, d.ID, d.url, d.Model, d.base.machine()} {
		fmt.Fprintf(hash, "%q ", part)
	}
	return pool[:min(len(pool), maxKeyPart)] + "/" + d.ID[:min(len(d.ID), maxKeyPart)] + "/" + hex.EncodeToString(hash.Sum(nil)[:8])
}

// machine tells apart what has the same address on every machine: the name of
// this one for an address that leads to itself, and nothing for others.
func (b *baseURL) machine() string {
	address, err := caddy.ParseNetworkAddress(b.dial)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(address.Host)
	if !address.IsUnixNetwork() && address.Host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return ""
	}
	name, _ := os.Hostname() // without one, it is as good as any other machine
	return name
}
