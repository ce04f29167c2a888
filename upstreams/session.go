package upstreams

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/affinity"
	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/state"
)

// namer is one thing in a request that may name its session.
type namer struct {
	what namedBy
	// name is that of a header, as header maps have it, or of a field, or the text.
	name string
	kind affinity.Kind
}

type namedBy uint8

const (
	byText namedBy = iota
	byHeader
	byCacheKey
	byMetadata
	byPreviousResponse
	bySessionID
	byPrompt
)

// kindNames begin the names of kinds, so that a field is another one than a header of
// its name.
var kindNames = [...]string{
	byText: "text ", byHeader: "header ", byCacheKey: "field ", byMetadata: "metadata ",
	byPreviousResponse: "field ", bySessionID: "field ", byPrompt: "prompt ",
}

// sessionNamers are what known clients name their sessions with: Claude Code in
// headers and in metadata, Codex in headers and by the key of its prompt cache.
var sessionNamers = []namer{
	{what: byHeader, name: "X-Claude-Code-Session-Id"},
	{what: byHeader, name: "X-Session-Id"},
	{what: byHeader, name: "Session_id"},
	{what: byHeader, name: "Session-Id"},
	{what: byCacheKey, name: "prompt_cache_key"},
	{what: byMetadata, name: "session_id"},
	{what: byMetadata, name: "user_id"},
	{what: byPreviousResponse, name: "previous_response_id"},
	{what: bySessionID, name: "session_id"},
}

// namers are what a value of the configuration means; none where it means nothing.
func namers(by string) []namer {
	prompt := namer{what: byPrompt, name: "prompt"}
	switch {
	case by == "auto":
		return append(append([]namer(nil), sessionNamers...), prompt)
	case by == "session":
		return sessionNamers
	case by == "prompt":
		return []namer{prompt}
	case by == "previous_response_id":
		return []namer{{what: byPreviousResponse, name: by}}
	case hasPlaceholder(by):
		return []namer{{what: byText, name: by}}
	}
	return nil
}

// keepSessions lets the pool keep sessions, if it is to.
func (p *Pool) keepSessions(store state.Store) error {
	_, alone := store.(state.Alone)
	options, on := p.effective.Affinity.options(!alone)
	if !on {
		return nil
	}
	table, err := p.takeSessions()
	if err != nil {
		return err
	}
	ids := make([]string, len(p.Deployments))
	for i, d := range p.Deployments {
		ids[i] = d.ID
	}
	p.engine.Sessions = affinity.NewSessions(table, options, p.Name, ids)
	for _, by := range p.effective.Affinity.By {
		for _, n := range namers(by) {
			n.kind = affinity.NewKind(p.Name, kindNames[n.what]+n.name)
			p.namers = append(p.namers, n)
		}
	}
	if !alone {
		p.endSharing = store.AttachSessions(p.Name, p.engine.Sessions)
	}
	return nil
}

// said is what a request has to name a session with. Body and facts are nil where
// there are none.
type said struct {
	r     *http.Request
	repl  *caddy.Replacer
	body  *apireq.Body
	facts *apireq.Facts
}

// Session implements engine.SessionReader.
func (x *Exchange) Session(p *engine.Pool, team string) affinity.Session {
	return (&said{x.r, x.repl, x.body, x.facts}).session(p, team)
}

// Session implements engine.SessionReader. An upgrade has no body.
func (u *Upgrade) Session(p *engine.Pool, team string) affinity.Session {
	repl := u.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	return (&said{r: u.r, repl: repl}).session(p, team)
}

func (s *said) session(p *engine.Pool, team string) (session affinity.Session) {
	if s.facts != nil {
		session.Response = p.Sessions.ResponseKey(team, s.body.Text(s.facts.PreviousResponse))
	}
	named := p.Upstream.(*Pool).namers
	for i := range named {
		n := &named[i]
		if n.what == byPreviousResponse && session.Response != (affinity.Key{}) {
			break // which names it
		}
		if session.Own = s.key(n, team); session.Own != (affinity.Key{}) {
			break
		}
	}
	return session
}

// key is the session that the request names in one way, if it does.
func (s *said) key(n *namer, team string) affinity.Key {
	switch n.what {
	case byText:
		return affinity.KeyOf(&n.kind, team, whole(s.repl, n.name))
	case byHeader:
		if values := s.r.Header[n.name]; len(values) > 0 {
			return affinity.KeyOf(&n.kind, team, values[0])
		}
		return affinity.Key{}
	}
	if s.facts == nil {
		return affinity.Key{}
	}
	var value []byte
	switch n.what {
	case byCacheKey:
		value = s.body.Text(s.facts.PromptCacheKey)
	case byMetadata:
		value = s.body.MetadataText(s.facts, n.name)
	case bySessionID:
		value = s.body.Text(s.facts.SessionID)
	case byPrompt:
		if hash, ok := s.body.Opening(s.facts); ok {
			value = hash[:]
		}
	}
	return affinity.KeyOf(&n.kind, team, value)
}

// whole is a text with its placeholders replaced; empty where one of them is, for
// what is left would name one session of everybody.
func whole(repl *caddy.Replacer, text string) string {
	text, err := repl.ReplaceOrErr(text, true, true)
	if err != nil {
		return ""
	}
	return text
}

// Interface guards
var (
	_ engine.SessionReader = (*Exchange)(nil)
	_ engine.SessionReader = (*Upgrade)(nil)
)
