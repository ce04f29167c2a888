package upstreams

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/selection"
)

// states holds what is known of deployments from one config to the next. An
// entry lasts as long as a config has the deployment: under the same pool and
// id, at the same address, with the same model and key. Deployments of one
// config that agree in all of it share it.
var states = caddy.NewUsagePool()

// deploymentState is a deployment's entry in states.
type deploymentState struct{ selection.State }

// Destruct implements caddy.Destructor.
func (*deploymentState) Destruct() error { return nil }

// takeState gets hold of what is known of the deployment. Pool is its pool's name.
func (d *Deployment) takeState(pool string) (*selection.State, error) {
	key := d.stateKey(pool)
	state, _, err := states.LoadOrNew(key, func() (caddy.Destructor, error) { return new(deploymentState), nil })
	if err != nil {
		return nil, err
	}
	d.heldState = key
	return &state.(*deploymentState).State, nil
}

// releaseState lets go of what takeState got, if it got anything.
func (d *Deployment) releaseState() error {
	if d.heldState == "" {
		return nil
	}
	key := d.heldState
	d.heldState = ""
	_, err := states.Delete(key)
	return err
}

// stateKey says what has to be the same for a deployment to be the same. The key
// is a secret, so that only its hash is in it.
func (d *Deployment) stateKey(pool string) string {
	hash := sha256.New()
	for _, secret := range d.key {
		hash.Write([]byte(secret)) //nolint:errcheck // hashes never fail
	}
	return strings.Join([]string{pool, d.ID, d.BaseURL, d.Model, hex.EncodeToString(hash.Sum(nil)[:8])}, "\x00")
}
