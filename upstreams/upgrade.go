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

// Upgrade carries a request that asks for a WebSocket: Caddy's reverse proxy
// takes it over whole. Another deployment is tried only when no answer comes
// about; an upstream that answers has the last word.
type Upgrade struct {
	w       http.ResponseWriter
	r       *http.Request
	aborted bool
	// committed tells that the client has the head of an answer.
	committed bool
}

// NewUpgrade prepares the exchange for a request that IsUpgrade.
func NewUpgrade(w http.ResponseWriter, r *http.Request) *Upgrade { return &Upgrade{w: w, r: r} }

// IsUpgrade tells whether a request asks for a WebSocket, in HTTP/1.1 or by an
// extended CONNECT (RFC 8441, RFC 9220). Whatever else a request would like to
// upgrade to is an offer that may be ignored, and it an ordinary request; with a
// body, it is no WebSocket's.
func IsUpgrade(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet:
		return r.ContentLength == 0 && connectionNames(r.Header["Connection"], "Upgrade") && connectionNames(r.Header["Upgrade"], "websocket")
	case http.MethodConnect: // in the spelling that Caddy knows
		return r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" || r.ProtoMajor == 3 && r.Proto == "websocket"
	}
	return false
}

// Attempt hands the request to a deployment's reverse proxy, until the
// connection is over. a.Limit bounds the wait for the answer, and all of an
// answer that is no upgrade.
func (u *Upgrade) Attempt(ctx context.Context, a *engine.Attempt) engine.Outcome {
	h := &handover{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: u.w},
		attempt:               a, watch: newWatch(ctx, a.Limit),
	}
	defer h.watch.stop()
	header := u.w.Header().Clone()
	stamp(u.w.Header(), a)
	err := u.serve(h)
	u.committed = h.written
	if !h.written { // the next answer owes nothing to this deployment
		clear(u.w.Header())
		maps.Copy(u.w.Header(), header)
	}
	return u.outcome(ctx, h, err)
}

// serve runs the deployment's reverse proxy on the request.
func (u *Upgrade) serve(h *handover) error {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler: // the engine has yet to hear of it
			u.aborted = true
		default:
			panic(p)
		}
	}()
	r := u.outgoing(context.WithValue(h.watch.ctx, upgradeKey{}, h), h.attempt)
	return deploymentOf(h.attempt).proxy.ServeHTTP(h, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
}

// outgoing is the request as Caddy's reverse proxy gets, and logs, it: without
// the deployment's secrets, which the round trip adds.
func (u *Upgrade) outgoing(ctx context.Context, a *engine.Attempt) *http.Request {
	d := deploymentOf(a)
	r := u.r.Clone(ctx)
	r.Host = d.base.host
	r.URL.Path, r.URL.RawPath = d.base.paths(u.r.URL)
	setQueryModel(r.URL, d.modelFor(a.Target.Model, a.Target.Star))
	for name := range r.Header {
		if routersOwn(name) || tellsClient(name) || d.ownKey && credentials[name] {
			delete(r.Header, name)
		}
	}
	delete(r.Header, "Te")
	if r.Method == http.MethodGet {
		r.Header["Upgrade"] = []string{"websocket"} // alone, without what else was offered
	}
	// Present and nil, they are not set by the proxy either.
	r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"] = nil, nil, nil
	if d.key != nil {
		prefix, _ := d.splitKey()
		r.Header[d.keyHeader] = []string{prefix + hiddenKey}
	}
	return r
}

// outcome tells what became of an attempt. The proxy's word is not enough: to it
// a client that left and every answer of an upstream are a success.
func (u *Upgrade) outcome(ctx context.Context, h *handover, err error) engine.Outcome {
	switch {
	case h.switched():
		return engine.Outcome{}
	case ctx.Err() != nil:
		return engine.Outcome{Class: retry.Canceled, Final: h.written, Err: err}
	case h.written && h.status == 0: // by the proxy, for a client that left
		return engine.Outcome{Class: retry.Canceled, Final: true, Err: err}
	case h.written && u.aborted && h.refused.Class == retry.None:
		return engine.Outcome{Class: retry.Connection, Final: true, Err: errors.New("the answer was cut")}
	case h.written:
		h.refused.Final = h.refused.Class != retry.None
		return h.refused
	case context.Cause(h.watch.ctx) == errLimit, isTimeout(err):
		return engine.Outcome{Class: retry.Timeout, Err: err}
	case err == nil:
		return engine.Outcome{Class: retry.ServerError, Err: errSwitched}
	}
	return engine.Outcome{Class: retry.Connection, Err: err}
}

// Deliver has nothing left to do: the proxy wrote to the client.
func (u *Upgrade) Deliver(context.Context, *engine.Attempt) engine.Outcome { return engine.Outcome{} }

// Committed tells whether the client has the head of an answer.
func (u *Upgrade) Committed() bool { return u.committed }

// Finish ends the response of a client that has an answer which is a failure. One
// that is not whole must not look as if it were.
func (u *Upgrade) Finish() {
	if u.aborted {
		panic(http.ErrAbortHandler)
	}
}
