package upstreams

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/llmrouter/caddy-llm-router/internal/apireq"
	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// dialInfoKey is where Caddy's transports look for the address to dial: without
// it a unix socket could not be reached.
const dialInfoKey caddy.CtxKey = "reverse_proxy.dial_info"

// outgoing is the request of one attempt with what it points to, which is one piece
// of memory rather than many, for one request after the other.
type outgoing struct {
	watch   watch
	request http.Request
	header  http.Header
	url     url.URL
	trace   httptrace.ClientTrace

	// A small body, and what a transport reads it with.
	small   []byte
	body    bytes.Reader
	closer  io.ReadCloser
	getBody func() (io.ReadCloser, error)

	conns atomic.Int32 // that the transport has tried
	wrote atomic.Bool  // all of the request
}

func newOutgoing(x *Exchange) *outgoing {
	o := new(outgoing)
	o.trace.Got1xxResponse = x.passOnInformational
	o.trace.GotConn = func(httptrace.GotConnInfo) { o.conns.Add(1) }
	o.trace.WroteRequest = func(info httptrace.WroteRequestInfo) { o.wrote.Store(info.Err == nil) }
	if x.fork != nil {
		o.trace.WroteHeaders = x.fork.wroteHead
	}
	o.closer = io.NopCloser(&o.body)
	o.getBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(o.small)), nil }
	return o
}

// sent tells whether the request has been written, on a connection that was the only
// one, so that its transport has no more use for it.
func (o *outgoing) sent() bool { return o.conns.Load() == 1 && o.wrote.Load() }

// maxHeader is how many fields the header of a request may have had that is used again.
const maxHeader = 64

// forget lets go of everything that belongs to the attempt.
func (o *outgoing) forget() {
	o.watch.forget()
	if len(o.header) > maxHeader {
		o.header = nil
	}
	clear(o.header)
	o.request, o.url = http.Request{}, url.URL{}
	o.conns.Store(0)
	o.wrote.Store(false)
}

// outgoing makes the request for one attempt. It shares nothing with the
// client's request that an attempt could change.
func (x *Exchange) outgoing(ctx context.Context, o *outgoing, d *Deployment, a *engine.Attempt) (*http.Request, error) {
	ctx, dial, err := d.dialInfo(ctx, x.r, x.chooser(), x.repl)
	if err != nil {
		return nil, err
	}
	trace := &o.trace
	if httptrace.ContextClientTrace(ctx) != nil { // a plugin's, which is joined with it, for this request alone
		joined := *trace
		trace = &joined
	}
	ctx = httptrace.WithClientTrace(ctx, trace)
	d.target(&o.url, x.r.URL, dial)
	host := d.base.host
	if d.static == nil && d.BaseURL == "" {
		host = dial.Address
	}
	if o.header == nil {
		o.header = make(http.Header, len(x.r.Header)+4)
	}
	x.setHeader(o.header, d)
	req := &o.request
	*req = *(&http.Request{
		Method:     x.r.Method,
		URL:        &o.url,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1,
		Header: o.header,
		Host:   host,
	}).WithContext(ctx)
	x.setBody(o, x.edits(d, a))
	if strings.Contains(req.URL.RawQuery, "model=") {
		setQueryModel(req.URL, d.modelFor(a.Target.Model, a.Target.Star))
	}
	if len(d.ops) > 0 || d.described || d.down != nil {
		describe(x.repl, dial)
	}
	for _, ops := range d.ops {
		ops.ApplyToRequest(req)
	}
	return req, nil
}

// target sets the URL of the deployment for what the client asked for.
func (d *Deployment) target(u, client *url.URL, dial *reverseproxy.DialInfo) {
	*u = url.URL{Scheme: d.base.scheme, Host: dial.Address, RawQuery: d.base.rawQuery(client.RawQuery), ForceQuery: client.ForceQuery}
	if (u.Scheme == "http" && dial.Port == "80") || (u.Scheme == "https" && dial.Port == "443") {
		if u.Host = dial.Host; strings.Contains(u.Host, ":") {
			u.Host = "[" + u.Host + "]"
		}
	}
	if strings.HasPrefix(dial.Network, "unix") {
		u.Host = d.base.host // a socket's path is no host; the dial info tells where to connect
		if d.static == nil { // of several sockets, which a transport tells apart by it
			u.Host = hex.EncodeToString([]byte(dial.Address))
		}
	}
	u.Path, u.RawPath = d.base.paths(client)
}

// setBody gives the request the client's body with what the deployment wants
// changed, and not a byte else.
func (x *Exchange) setBody(o *outgoing, edits apireq.Edits) {
	if n := edits.Len(len(x.body.Bytes())); n <= smallBody {
		o.small = slices.Grow(o.small[:0], n)
		o.setSmallBody(x.body.Append(o.small, edits))
		return
	}
	x.setLargeBody(&o.request, edits)
}

// smallBody is the size up to which a body is copied for an attempt. The
// transport sends a body that it knows to be in memory together with the head, if
// both fit in its buffer of 4 KiB, and knows only the standard library's readers,
// which tell nobody when they are done with pooled memory. A copy of this size costs
// less than another write to the connection.
const smallBody = 3 << 10

// setSmallBody gives the request a body of its own.
func (o *outgoing) setSmallBody(body []byte) {
	o.small = body
	o.body.Reset(body)
	req := &o.request
	req.ContentLength = int64(len(body))
	req.Body = o.closer
	req.GetBody = o.getBody
}

// setLargeBody gives the request the client's body where it is.
func (x *Exchange) setLargeBody(req *http.Request, edits apireq.Edits) {
	body := x.body.NewReader(edits)
	req.Body, req.ContentLength = body, body.Len()
	req.GetBody = func() (io.ReadCloser, error) { return x.body.NewReader(edits), nil }
}

// setQueryModel replaces the model in the query, so that nobody upstream reads
// another one there than in the body.
func setQueryModel(u *url.URL, model string) {
	if query := u.Query(); query.Has("model") {
		query.Set("model", model)
		u.RawQuery = query.Encode()
	}
}

// dialInfo tells where to connect to, and the transport of a request with the
// context too.
func (d *Deployment) dialInfo(ctx context.Context, r *http.Request, w http.ResponseWriter, repl *caddy.Replacer) (context.Context, *reverseproxy.DialInfo, error) {
	if d.static != nil {
		return context.WithValue(ctx, dialInfoKey, d.staticValue), d.static, nil
	}
	dial, err := d.dynamicDialInfo(ctx, r, w, repl)
	return context.WithValue(ctx, dialInfoKey, dial), &dial, err
}

func (d *Deployment) dynamicDialInfo(ctx context.Context, r *http.Request, w http.ResponseWriter, repl *caddy.Replacer) (reverseproxy.DialInfo, error) {
	ups, err := d.lookUp(r.WithContext(ctx))
	if err != nil { // as if it could not be dialed
		return reverseproxy.DialInfo{}, fmt.Errorf("looking up upstreams: %w", reverseproxy.NewDialError(err))
	}
	for _, u := range ups {
		if u.Host == nil {
			u.Host = new(reverseproxy.Host) // selection policies count on it
		}
	}
	upstream := d.proxy.LoadBalancing.SelectionPolicy.Select(ups, r, w)
	if upstream == nil {
		return reverseproxy.DialInfo{}, fmt.Errorf("no upstream among %d", len(ups))
	}
	address, err := caddy.ParseNetworkAddress(repl.ReplaceAll(upstream.Dial, ""))
	if err != nil {
		return reverseproxy.DialInfo{}, fmt.Errorf("upstream address: %w", err)
	}
	return reverseproxy.DialInfo{
		Upstream: upstream, Network: address.Network, Address: address.JoinHostPort(0),
		Host: address.Host, Port: strconv.Itoa(int(address.StartPort)),
	}, nil
}

// lookUp gives the addresses of a deployment with dynamic upstreams, within the time
// that the request's context has.
func (d *Deployment) lookUp(r *http.Request) ([]*reverseproxy.Upstream, error) {
	if d.lookups == nil {
		return d.proxy.DynamicUpstreams.GetUpstreams(r)
	}
	select {
	case d.lookups <- struct{}{}:
		defer func() { <-d.lookups }()
		return d.proxy.DynamicUpstreams.GetUpstreams(r)
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// describe sets the placeholders that header operations may use, as Caddy's
// reverse proxy does.
func describe(repl *caddy.Replacer, dial *reverseproxy.DialInfo) {
	for i, value := range [...]string{dial.String(), dial.Address, dial.Host, dial.Port} {
		repl.Set(described[i], value)
	}
}

// described are the names of these placeholders.
var described = [...]string{
	"http.reverse_proxy.upstream.address", "http.reverse_proxy.upstream.hostport",
	"http.reverse_proxy.upstream.host", "http.reverse_proxy.upstream.port",
}

// passOnInformational hands 1xx answers of the upstream on to the client, as
// long as the client has not been given anything else.
func (x *Exchange) passOnInformational(code int, header textproto.MIMEHeader) error {
	x.informational(code, http.Header(header))
	return nil
}
