package upstreams

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/llmrouter/caddy-llm-router/internal/cache"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/internal/state"
)

// Answers are those that a pool keeps: in memory, and where instances share a Redis,
// there too. It is safe for concurrent use.
type Answers struct {
	*cache.Cache
	// TTL is how long an answer is kept.
	TTL time.Duration
	// MaxItem is the largest answer that is kept, in bytes.
	MaxItem int

	values  state.Values
	owner   string // whose answers they are: the group's or the pool's, and by which rules
	vary    []string
	literal bool
	// byName tells that of names that fit the pool's wildcards, each is a model of its
	// own to some deployment.
	byName bool
	// perClient tells that clients reach a deployment with keys of their own. What
	// one may see, another may not.
	perClient bool
}

// answersState is the entry of a group in states, from one config to the next.
type answersState struct{ *cache.Cache }

// Destruct implements caddy.Destructor.
func (s answersState) Destruct() error {
	s.Close()
	return nil
}

// takeAnswers gets hold of the answers of the pool's group, when its deployments are
// known.
func (p *Pool) takeAnswers(store state.Store) error {
	c := p.effective.Cache
	if !c.on() {
		return nil
	}
	entry, err := p.heldAnswers.take("answers\x00"+c.Group, func() (caddy.Destructor, error) {
		return answersState{cache.New(c.size())}, nil
	})
	if err != nil {
		return err
	}
	kept := entry.(answersState).Cache
	kept.SetSize(c.size())
	p.answers = &Answers{
		Cache: kept, TTL: time.Duration(c.TTL), MaxItem: int(c.maxItem()),
		values: store.Values(), owner: p.owner(), vary: c.Vary, literal: !or(c.Defaults, true),
	}
	for _, d := range p.Deployments {
		p.answers.perClient = p.answers.perClient || !d.keyIsFixed
		p.answers.byName = p.answers.byName || d.Model == "" && c.Group == ""
	}
	return nil
}

// owner says whose answers the pool's are, and by which rules requests for them are the
// same. Without a group, a pool that has come to stand for something else does not give
// the answers of what it was.
func (p *Pool) owner() string {
	c := p.effective.Cache
	parts := append([]string{strconv.FormatBool(or(c.Defaults, true)), strconv.Itoa(len(c.Vary))}, c.Vary...)
	if c.Group != "" {
		return strings.Join(append(parts, "group", c.Group), "\x00")
	}
	parts = append(parts, "pool", p.Name)
	for _, d := range p.Deployments {
		parts = append(parts, d.sharedKey(p.Name), d.proxyHash)
		for _, secret := range d.key {
			hash := sha256.Sum256([]byte(secret))
			parts = append(parts, hex.EncodeToString(hash[:]))
		}
	}
	return strings.Join(parts, "\x00")
}

// hashProxy takes note of how requests get to the deployment: a header operation or a
// transport may have its key, and dynamic upstreams are its address.
func (d *Deployment) hashProxy() error {
	if d.ReverseProxy == nil {
		return nil
	}
	config, err := json.Marshal(d.ReverseProxy)
	if err != nil {
		return fmt.Errorf("reverse_proxy: %w", err)
	}
	hash := sha256.Sum256(config)
	d.proxyHash = hex.EncodeToString(hash[:])
	return nil
}

// AnswersOf are what a pool keeps; nil where it keeps nothing.
func AnswersOf(p *engine.Pool) *Answers { return p.Upstream.(*Pool).answers }

// Question is what one request asks, as far as answers differ by it.
type Question struct {
	Kind cache.Kind
	Body []byte
	// Target is the pool and what its wildcard stands for.
	Target    engine.Target
	Team      string
	Tags      []string // sorted
	Regions   []string // sorted
	Namespace string
}

// answerHeaders are the headers of a request that may change the answer: which
// version of an API is spoken, what of it is tried out, and for whom.
var answerHeaders = []string{
	"Accept", "Anthropic-Version", "Anthropic-Beta", "Openai-Beta", "Openai-Organization", "Openai-Project",
}

// Request is how the cache is asked for it. It takes the memory of scope, which is empty.
func (a *Answers) Request(r *http.Request, repl *caddy.Replacer, q *Question, scope []string) cache.Request {
	scope = slices.Grow(scope, 20+len(q.Tags)+len(q.Regions)+len(a.vary))
	scope = append(scope, a.owner, q.Target.Star, a.modelOf(&q.Target), q.Team, q.Namespace, r.URL.EscapedPath(), r.URL.RawQuery)
	scope = append(append(scope, strconv.Itoa(len(q.Tags))), q.Tags...)
	scope = append(append(scope, strconv.Itoa(len(q.Regions))), q.Regions...)
	for _, name := range answerHeaders {
		scope = append(scope, strings.Join(r.Header[name], ","))
	}
	for _, value := range a.vary {
		scope = append(scope, repl.ReplaceAll(value, ""))
	}
	if a.perClient {
		scope = appendCredentials(scope, r.Header)
	}
	return cache.Request{Kind: q.Kind, Body: q.Body, Literal: a.literal, Scope: scope}
}

// modelOf is the name that was asked for, where it is a model of its own: one of
// several that fit wildcards, or another name of a pool whose own is a wildcard.
func (a *Answers) modelOf(t *engine.Target) string {
	if t.Model != t.Pool.Name && (a.byName || t.Star == "") {
		return t.Model
	}
	return ""
}

// appendCredentials adds all headers that may be what a client is known by. Servers
// have more names for keys than the router knows.
func appendCredentials(scope []string, header http.Header) []string {
	from := len(scope)
	for name, values := range header {
		if credentials[name] || maySayWho(name) {
			scope = append(scope, name+": "+strings.Join(values, ","))
		}
	}
	slices.Sort(scope[from:])
	return scope
}

func maySayWho(name string) bool {
	switch name { // which nearly every request has
	case "Accept", "Accept-Encoding", "Content-Length", "Content-Type", "User-Agent":
		return false
	}
	for _, word := range &wordsForKeys {
		if strings.Contains(name, word) {
			return name != "Idempotency-Key" // which is another with each request
		}
	}
	return false
}

// wordsForKeys are in the names of headers that have a key, as they begin a part of
// such a name and as they are within one, such as Apikey.
var wordsForKeys = [...]string{
	"Key", "Token", "Jwt", "Auth", "Secret", "Password", "Credential", "Cookie", "Session",
	"key", "token", "jwt", "auth", "secret", "password", "credential", "cookie", "session",
}

// maxStored is the size of an answer as it is stored with others, in bytes.
func (a *Answers) maxStored() int { return a.MaxItem + 8<<10 }

// Find gets the answers of keys, nil where there is none: what is kept here, and then
// what other instances have kept, which may take the time that the config allows Redis
// and stays here as well.
func (a *Answers) Find(ctx context.Context, keys []cache.Key, maxAge time.Duration) []*cache.Entry {
	found, now := make([]*cache.Entry, len(keys)), time.Now()
	var missing []int
	for i, key := range keys {
		if found[i] = a.Get(key, now, maxAge); found[i] == nil {
			missing = append(missing, i)
		}
	}
	if a.values == nil || len(missing) == 0 {
		return found
	}
	names := make([]string, len(missing))
	for i, place := range missing {
		names[i] = storedKey(keys[place])
	}
	values, _ := a.values.Load(ctx, a.maxStored(), names...) // an error is as good as nothing
	for i, value := range values {
		place := missing[i]
		found[place] = a.take(keys[place], value, time.Now(), maxAge)
	}
	return found
}

// take keeps what another instance has kept, if it is what it should be.
func (a *Answers) take(key cache.Key, value []byte, now time.Time, maxAge time.Duration) *cache.Entry {
	e, err := cache.Decode(key, value)
	if err != nil || !e.Sound() {
		return nil
	}
	if latest := now.Add(a.TTL); e.Expires.After(latest) {
		e.Expires = latest
	}
	a.Put(key, e, now) // where there may be no room for it
	if !e.Fresh(now, maxAge) {
		return nil
	}
	return e
}

// Keep keeps an answer, here and for the other instances.
func (a *Answers) Keep(key cache.Key, e *cache.Entry, now time.Time) {
	a.Put(key, e, now)
	if a.values != nil {
		a.values.Keep(storedKey(key), e.Encode(key), e.Expires.Sub(now))
	}
}

func storedKey(key cache.Key) string { return "answer:" + hex.EncodeToString(key[:]) }
