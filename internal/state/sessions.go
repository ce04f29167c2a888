package state

import (
	"context"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
)

// What instances tell each other of sessions, on a channel of its own:
//
//	1 <hash of the session> <pool, percent-encoded> <deployment>
//
// The key of a session has the deployment alone. An instance to which a session is new
// tells where it has it only if nobody has it elsewhere, and else learns that: so an
// instance that starts finds out with the first answer that it has for a session.

// maxToldSessions is how many sessions a round tells of. Those of which it could not
// are a part of the next.
const maxToldSessions = 1024

// poolSessions are a pool's sessions that are attached.
type poolSessions struct {
	pool string
	s    Sessions
}

// AttachSessions connects a pool's sessions with those of other instances.
func (s *Redis) AttachSessions(pool string, sessions Sessions) (detach func()) {
	p := &poolSessions{pool: pool, s: sessions}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pools[pool] = append(s.pools[pool], p)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		rest := slices.DeleteFunc(slices.Clone(s.pools[pool]), func(other *poolSessions) bool { return other == p })
		if s.pools[pool] = rest; len(rest) == 0 {
			delete(s.pools, pool)
		}
	})
}

// ofPool are the sessions of a pool that are attached, in a slice that does not change.
func (s *Redis) ofPool(pool string) []*poolSessions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.pools[pool])
}

// withSessions are all that are attached.
func (s *Redis) withSessions() (all []*poolSessions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.pools {
		all = append(all, list...)
	}
	return all
}

// sessionTelling is a change on its way.
type sessionTelling struct {
	p *poolSessions
	affinity.Change
}

// tellSessions tells on which deployment sessions are. What could not be told stays
// for the next time.
func (s *Redis) tellSessions(ctx context.Context) error {
	r := &s.round
	for _, p := range s.withSessions() {
		r.changes = p.s.TakeChanges(r.changes[:0], maxToldSessions-len(r.tellings))
		for _, c := range r.changes {
			r.tellings = append(r.tellings, sessionTelling{p, c})
		}
	}
	if len(r.tellings) == 0 {
		return nil
	}
	calls := make([]*call, len(r.tellings))
	for i, t := range r.tellings {
		calls[i] = s.sessionCall(t)
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	runAll(ctx, s.client, calls)
	var failure error
	now, left := time.Now(), r.tellings[:0]
	for i, t := range r.tellings {
		other, err := calls[i].reply.Text()
		switch {
		case wrongType(err):
			s.foreign(calls[i].key, 1)
		case err != nil:
			failure = err
			left = append(left, t)
		case other != "" && other != t.Deployment:
			t.p.s.Learn(now, t.Key, other)
		}
	}
	clear(r.tellings[len(left):])
	r.tellings = left
	return failure
}

func (s *Redis) sessionCall(t sessionTelling) *call {
	first := "0"
	if t.First {
		first = "1"
	}
	return &call{
		script: sessionScript, key: s.options.Prefix + "session:" + hex.EncodeToString(t.Key[:]),
		args: []any{
			s.sessions, sessionMessage{t.Key, t.p.pool, t.Deployment}.String(), t.Deployment,
			max(t.p.s.TTL().Milliseconds(), 1), first, maxMessage,
		},
	}
}

// hearSession passes on to the pool what an instance has told, this one too: what all
// of them hear in the same order, they agree on.
func (s *Redis) hearSession(now time.Time, text string) {
	m, err := parseSession(text)
	if err != nil {
		s.foreign(s.sessions, 1)
		return
	}
	for _, p := range s.ofPool(m.pool) {
		p.s.Learn(now, m.key, m.deployment)
	}
}

// sessionMessage tells on which deployment of a pool a session is.
type sessionMessage struct {
	key              affinity.Key
	pool, deployment string
}

func (m sessionMessage) String() string {
	return strings.Join([]string{messageVersion, hex.EncodeToString(m.key[:]), url.PathEscape(m.pool), m.deployment}, " ")
}

// parseSession reads what came over the channel.
func parseSession(text string) (m sessionMessage, err error) {
	words := strings.SplitN(text, " ", 4)
	if len(text) > maxMessage || len(words) != 4 || words[0] != messageVersion || words[3] == "" || len(words[1]) != 2*len(m.key) {
		return m, ErrForeign
	}
	if _, err := hex.Decode(m.key[:], []byte(words[1])); err != nil {
		return m, ErrForeign
	}
	if m.pool, err = url.PathUnescape(words[2]); err != nil {
		return m, ErrForeign
	}
	m.deployment = words[3]
	return m, nil
}
