package affinity

import "time"

// Options are how a pool keeps its sessions.
type Options struct {
	// TTL is how long a session is remembered after its last answer.
	TTL time.Duration
	// Size is how many sessions are remembered; those whose last answer was longest ago
	// give way. Answers that may be gone on with count too. It is rounded up by at most
	// 31.
	Size int
	// Shared tells that other instances are to know of them.
	Shared bool
}

// Sessions are those of a pool, under one configuration. They are safe for
// concurrent use.
type Sessions struct {
	table       *Table
	options     Options
	deployments map[string]string
	response    Kind
}

// NewSessions gives the sessions that a table knows of a pool with these deployments.
func NewSessions(t *Table, o Options, pool string, deployments []string) *Sessions {
	s := &Sessions{
		table: t, options: o, deployments: make(map[string]string, len(deployments)),
		response: NewKind(pool, "response"),
	}
	for _, id := range deployments {
		s.deployments[id] = id
	}
	return s
}

// TTL is how long a session is remembered after its last answer.
func (s *Sessions) TTL() time.Duration { return s.options.TTL }

// ResponseKey stands for an answer that a team's request may go on with, by its id.
func (s *Sessions) ResponseKey(team string, id []byte) Key { return KeyOf(&s.response, team, id) }

// Find gives the deployment that a session is on; false for one that is on none.
func (s *Sessions) Find(now time.Time, key Key) (deployment string, ok bool) {
	if key == (Key{}) {
		return "", false
	}
	shard := s.table.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	b, ok := shard.find(key, s.since(now))
	return b.deployment, ok
}

// retellAfter is the part of the TTL after which other instances are told again that
// a session is in use.
const retellAfter = 4

// Bind notes that a deployment has answered a session. No session is bound to none.
func (s *Sessions) Bind(now time.Time, key Key, deployment string) {
	if key == (Key{}) {
		return
	}
	shard := s.table.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	at, since := now.UnixNano(), s.since(now)
	before, known := shard.find(key, since)
	b := binding{deployment: deployment, used: at}
	if known && before.deployment == deployment {
		b.told = before.told
	}
	if s.options.Shared && at-b.told >= int64(s.options.TTL/retellAfter) && shard.note(Change{key, deployment, !known}) {
		b.told = at
	}
	shard.put(key, b, since, s.limit())
}

// Learn notes that another instance has a session on a deployment. One that this
// pool does not have is not believed.
func (s *Sessions) Learn(now time.Time, key Key, deployment string) {
	own, ok := s.deployments[deployment]
	if !ok || key == (Key{}) {
		return
	}
	shard := s.table.shard(key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	at := now.UnixNano()
	shard.put(key, binding{own, at, at}, s.since(now), s.limit())
}

// TakeChanges appends to dst what other instances have not been told yet, up to most
// in all, and takes it for told.
func (s *Sessions) TakeChanges(dst []Change, most int) []Change {
	for i := range s.table.shards {
		shard := &s.table.shards[i]
		shard.mu.Lock()
		n := min(len(shard.changes), max(most-len(dst), 0))
		dst = append(dst, shard.changes[:n]...)
		rest := copy(shard.changes, shard.changes[n:])
		clear(shard.changes[rest:])
		shard.changes = shard.changes[:rest]
		shard.mu.Unlock()
	}
	return dst
}

// since is when a session must have been used not to be forgotten.
func (s *Sessions) since(now time.Time) int64 { return now.UnixNano() - int64(s.options.TTL) }

// limit is how many of the bindings a shard keeps.
func (s *Sessions) limit() int { return (s.options.Size + numShards - 1) / numShards }
