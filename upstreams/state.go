package upstreams

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/queue"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// states holds what is known of deployments, and who waits for them, from one
// config to the next. A deployment's entry lasts as long as a config has it: under
// the same pool and id, at the same address, with the same model and key. A pool's
// queue is the same as long as its deployments are, its sessions as long as its name
// is. What agrees in all of that in
// one config is shared.
var states = caddy.NewUsagePool()

// deploymentState is a deployment's entry in states.
type deploymentState struct {
	selection.State
	notices notices
}

// Destruct implements caddy.Destructor.
func (*deploymentState) Destruct() error { return nil }

// poolState is a pool's entry in states.
type poolState struct{ queue.Queue }

// Destruct implements caddy.Destructor.
func (*poolState) Destruct() error { return nil }

// sessionState is where a pool's sessions are. It is an entry of its own, by the
// pool's name alone: deployments that a config changes or adds are no reason to forget
// the sessions of the others.
type sessionState struct{ affinity.Table }

// Destruct implements caddy.Destructor.
func (*sessionState) Destruct() error { return nil }

// held is an entry of states that is held, or none.
type held string

// take gets hold of the entry of a key, which is made if there is none.
func (h *held) take(key string, construct caddy.Constructor) (any, error) {
	entry, _, err := states.LoadOrNew(key, construct)
	if err == nil {
		*h = held(key)
	}
	return entry, err
}

// release lets go of what take got, if it got anything.
func (h *held) release() error {
	if *h == "" {
		return nil
	}
	key := string(*h)
	*h = ""
	_, err := states.Delete(key)
	return err
}

// takeState gets hold of what is known of the deployment.
func (d *Deployment) takeState(pool string) (*selection.State, error) {
	entry, err := d.held.take(d.stateKey(pool), func() (caddy.Destructor, error) { return new(deploymentState), nil })
	if err != nil {
		return nil, err
	}
	state := entry.(*deploymentState)
	d.notices = &state.notices
	return &state.State, nil
}

// takeQueue gets hold of the pool's queue, when its deployments are known.
func (p *Pool) takeQueue() (*queue.Queue, error) {
	key := []string{"queue", p.Name}
	for _, d := range p.Deployments {
		key = append(key, string(d.held))
	}
	entry, err := p.held.take(strings.Join(key, "\x00"), func() (caddy.Destructor, error) { return new(poolState), nil })
	if err != nil {
		return nil, err
	}
	return &entry.(*poolState).Queue, nil
}

// takeSessions gets hold of what is known of the pool's sessions.
func (p *Pool) takeSessions() (*affinity.Table, error) {
	entry, err := p.heldSessions.take("sessions\x00"+p.Name, func() (caddy.Destructor, error) { return new(sessionState), nil })
	if err != nil {
		return nil, err
	}
	return &entry.(*sessionState).Table, nil
}

// stateKey says what has to be the same for a deployment to be the same. The key
// is a secret, so that only its hash is in it.
func (d *Deployment) stateKey(pool string) string {
	hash := sha256.New()
	for _, secret := range d.key {
		hash.Write([]byte(secret))
	}
	return strings.Join([]string{"deployment", pool, d.ID, d.BaseURL, d.Model, hex.EncodeToString(hash.Sum(nil)[:8])}, "\x00")
}
