package upstreams

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
	"github.com/llmrouter/caddy-llm-router/retry"
)

// Upgrade carries a request that asks for another protocol, such as a
// WebSocket: Caddy's reverse proxy takes it over whole. Another deployment is
// tried only when no connection to one comes about; an upstream that answers
// has the last word.
type Upgrade struct {
	w http.ResponseWriter
	r *http.Request
}

// NewUpgrade prepares the exchange for a request with an Upgrade header.
func NewUpgrade(w http.ResponseWriter, r *http.Request) *Upgrade { return &Upgrade{w, r} }

// IsUpgrade tells whether a request asks for another protocol, in HTTP/1.1 or
// by an extended CONNECT (RFC 8441, RFC 9220).
func IsUpgrade(r *http.Request) bool {
	return r.Header["Upgrade"] != nil && connectionNames(r.Header["Connection"], "Upgrade") ||
		r.Method == http.MethodConnect && (r.Header.Get(":protocol") != "" || r.Proto == "websocket")
}

// Attempt hands the request to a deployment's reverse proxy, until the
// connection is over.
func (u *Upgrade) Attempt(ctx context.Context, a *engine.Attempt) engine.Outcome {
	d := deploymentOf(a)
	r := u.r.Clone(context.WithValue(ctx, upgradeKey{}, true))
	r.Host = d.base.host
	r.URL.Path, r.URL.RawPath = d.base.paths(u.r.URL)
	query := u.r.URL.Query()
	if query.Has("model") {
		query.Set("model", d.modelFor(a.Target.Model, a.Target.Star))
	}
	maps.Copy(query, d.base.query)
	r.URL.RawQuery = query.Encode()
	for name := range r.Header {
		if routersOwn(name) || tellsClient[name] || d.ownKey && credentials[name] {
			delete(r.Header, name)
		}
	}
	// Present and nil, they are not set by the proxy either.
	r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"] = nil, nil, nil
	if d.key != nil {
		r.Header[d.keyHeader] = d.key
	}
	stamp(u.w.Header(), a)
	err := d.proxy.ServeHTTP(u.w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
	if err == nil {
		return engine.Outcome{}
	}
	if ctx.Err() != nil {
		return engine.Outcome{Class: retry.Canceled, Err: err}
	}
	if status, ok := errors.AsType[caddyhttp.HandlerError](err); ok && status.StatusCode == http.StatusGatewayTimeout {
		return engine.Outcome{Class: retry.Timeout, Err: err}
	}
	return engine.Outcome{Class: retry.Connection, Err: err}
}

// Deliver has nothing left to do: the proxy wrote to the client.
func (u *Upgrade) Deliver(context.Context, *engine.Attempt) engine.Outcome { return engine.Outcome{} }
