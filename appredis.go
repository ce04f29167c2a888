package llmrouter

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/state"
)

// Redis says which Redis or Valkey, and how it is used.
type Redis struct {
	// Where it is: `redis://` or, with TLS, `rediss://`, as
	// `redis://[<user>:<password>@]<host>[:<port>][/<database>]`. Several URLs are
	// nodes of a Cluster, or with `sentinel`, Sentinels; they differ in the host
	// alone; a URL that is there twice is the only address of a Cluster. User and
	// password must be percent-encoded. Placeholders such as `{env.REDIS_URL}` are
	// replaced when the config is loaded.
	URLs []string `json:"urls,omitempty"`

	// The user, as it is, in place of one in the URLs. Needs a password.
	// Placeholders are replaced when the config is loaded. Default: that of the
	// URLs.
	Username string `json:"username,omitempty"`

	// The password, as it is, in place of one in the URLs: nothing of what
	// `{env.REDIS_PASSWORD}` stands for can be taken for a part of a URL.
	// Placeholders are replaced when the config is loaded. Default: that of the
	// URLs.
	Password string `json:"password,omitempty"`

	// The Sentinels' name for the master to use. Default: the URLs are no
	// Sentinels.
	Sentinel *Sentinel `json:"sentinel,omitempty"`

	// What the names of all keys and channels begin with. Instances share
	// with those of the same prefix. Default: `llm_router:`.
	Prefix string `json:"prefix,omitempty"`

	// Whether `rpm` and `tpm` hold exactly over all instances: every attempt on a
	// deployment that has limits is reserved in Redis first. Without it, counters
	// are exchanged ten times a second and no request waits. Default: `false`.
	Strict bool `json:"strict,omitempty"`

	// How long an attempt waits for its reservation, or a request for an answer
	// that was kept, at most `1s`; after it, the instance goes on with what it
	// knows. Default: `50ms`.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// Sentinel says what Sentinels are asked for.
type Sentinel struct {
	// The name of the master.
	Master string `json:"master,omitempty"`

	// The user that the Sentinels themselves know. Placeholders are replaced when
	// the config is loaded. Default: none.
	Username string `json:"username,omitempty"`

	// The password of the Sentinels themselves; that of the master is with the
	// URLs. Placeholders are replaced when the config is loaded. Default: none.
	Password string `json:"password,omitempty"`
}

// storeKey is a hash, as what was configured has passwords.
type storeKey [sha256.Size]byte

// resolve replaces placeholders and checks what only then can be checked. Errors
// do not repeat values, which may be secret.
func (r *Redis) resolve() (storeKey, state.Options, error) {
	resolved := *r
	resolved.URLs = slices.Clone(r.URLs)
	secrets := []*string{&resolved.Prefix, &resolved.Username, &resolved.Password}
	for i := range resolved.URLs {
		secrets = append(secrets, &resolved.URLs[i])
	}
	if r.Sentinel != nil {
		sentinel := *r.Sentinel
		resolved.Sentinel = &sentinel
		secrets = append(secrets, &sentinel.Master, &sentinel.Username, &sentinel.Password)
	}
	replacer := caddy.NewReplacer()
	for _, value := range secrets {
		var err error
		if *value, err = replacer.ReplaceOrErr(*value, true, true); err != nil {
			return storeKey{}, state.Options{}, err
		}
	}
	options, err := resolved.options()
	if err != nil {
		return storeKey{}, state.Options{}, err
	}
	text, err := json.Marshal(resolved) //nolint:gosec // it is hashed and goes nowhere
	return sha256.Sum256(text), options, err
}

// options turns a config without placeholders into what the store needs.
func (r *Redis) options() (state.Options, error) {
	options, err := state.ParseURLs(r.URLs, r.Sentinel != nil)
	if err != nil {
		return options, err
	}
	if err := r.authenticate(&options); err != nil {
		return options, err
	}
	if s := r.Sentinel; s != nil {
		if s.Master == "" {
			return options, errors.New("sentinel: the name of the master is missing")
		}
		options.Master, options.SentinelUsername, options.SentinelPassword = s.Master, s.Username, s.Password
	}
	if err := checkPrefix(r.Prefix); err != nil {
		return options, err
	}
	if r.Timeout < 0 || r.Timeout > caddy.Duration(maxReserveTimeout) {
		return options, fmt.Errorf("timeout: expected a duration up to %v, got %v", maxReserveTimeout, time.Duration(r.Timeout))
	}
	options.Prefix, options.Strict, options.Timeout = r.Prefix, r.Strict, time.Duration(r.Timeout)
	return options, nil
}

// authenticate adds user and password that are not in the URLs.
func (r *Redis) authenticate(options *state.Options) error {
	switch {
	case r.Username == "" && r.Password == "":
		return nil
	case options.Username != "" || options.Password != "":
		return errors.New("user and password are in the URLs already; give them once")
	case r.Password == "":
		return errors.New("username: it needs a password")
	}
	options.Username, options.Password = r.Username, r.Password
	return nil
}

const (
	maxReserveTimeout = time.Second
	maxPrefix         = 128
)

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix || strings.ContainsFunc(prefix, func(r rune) bool { return r <= ' ' || r == '{' || r == '}' }) {
		return fmt.Errorf("prefix: expected up to %d characters without blanks and braces", maxPrefix)
	}
	return nil
}
