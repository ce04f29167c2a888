package selection

// Strategy picks one of the usable candidates, which are of one order and
// never empty; nil is nobody. Pick must be safe for concurrent use and must keep
// neither q nor usable. Of strategies that weigh candidates against each other
// all pass over those without a share as long as others have one; see Share.
type Strategy interface {
	Pick(q *Query, usable []*Candidate) *Candidate
}

// Timed is a Strategy that goes by the Latency of deployments. Where no strategy
// does, nobody takes the trouble to keep it.
type Timed interface {
	Strategy
	// Timed marks the Strategy and does nothing.
	Timed()
}

// Watcher is a Strategy that wants to know where requests really go: a pick may
// come to nothing when somebody else takes the place.
type Watcher interface {
	Strategy
	// Sent follows a Pick when the request is about to be sent to c. It tells how many
	// tokens of the prompt c has to read, those aside that it has in a cache. It must
	// be safe for concurrent use and must not keep q.
	Sent(q *Query, c *Candidate) (unread int)
}
