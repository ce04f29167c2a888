package engine

import (
	"slices"
	"time"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/selection"
)

// SessionReader tells which session a request belongs to. It is asked when the request
// comes into a pool that keeps sessions, on the request's goroutine, or on another
// while that one waits.
type SessionReader interface {
	// Session tells it by the rules of a pool. Teams share no sessions.
	Session(p *Pool, team string) affinity.Session
}

// session is what a pool knows of the session of a request.
type session struct {
	pool *Pool // the one that has been asked; nil is none
	keys [2]affinity.Key
	// home is the deployment that the session was on when one was chosen last; empty is
	// none.
	home string
}

// bound is the one of the usable deployments that the request's session is on; nil
// where it is on none of them. So it is a preference, and stronger than the strategy
// alone.
func (w *walk) bound(usable []*selection.Candidate) *selection.Candidate {
	p := w.target.Pool
	if p.Sessions == nil || w.req.Session == nil {
		return nil
	}
	if w.session.pool != p {
		said := w.req.Session.Session(p, w.req.Team)
		w.session = session{pool: p, keys: [...]affinity.Key{said.Response, said.Own}}
	}
	w.session.home = ""
	for _, key := range w.session.keys {
		id, ok := p.Sessions.Find(w.query.Now, key)
		if !ok {
			continue
		}
		if w.session.home == "" {
			w.session.home = id
		}
		i := slices.IndexFunc(usable, func(c *selection.Candidate) bool { return c.ID == id })
		if i >= 0 && selection.ShareOf(usable).Of(usable[i]) > 0 { // a standby goes back to waiting
			return usable[i]
		}
	}
	return nil
}

// keepSession binds the session to the deployment that has answered it, and so the
// answer itself, which the next request may name.
func (w *walk) keepSession(t *try) {
	p := w.target.Pool
	if p.Sessions == nil || w.session.pool != p {
		return
	}
	now, id := time.Now(), t.turn.Candidate.ID
	p.Sessions.Bind(now, p.Sessions.ResponseKey(w.req.Team, t.turn.AnswerID), id)
	for _, key := range w.session.keys {
		p.Sessions.Bind(now, key, id)
	}
	switch {
	case w.session.keys == [2]affinity.Key{}:
		w.affinity = affinity.None
	case w.session.home == "":
		w.affinity = affinity.New
	case w.session.home == id:
		w.affinity = affinity.Hit
	default:
		w.affinity = affinity.Moved
	}
}
