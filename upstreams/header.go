package upstreams

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/llmrouter/caddy-llm-router/internal/engine"
)

// ofConnection tells whether a header concerns one connection only (RFC 9110
// section 7.6.1 and what Caddy's reverse proxy adds to it).
func ofConnection(name string) bool {
	switch name {
	case "Alt-Svc", "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// setHere tells whether a header is one that the round trip sets itself.
func setHere(name string) bool {
	switch name {
	case "Accept-Encoding", "Content-Length", "Expect":
		return true
	}
	return false
}

// tellsClient tells whether a header says who the client is, or how its request
// came here.
func tellsClient(name string) bool {
	switch name {
	case "Via", "Forwarded", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// credentials are the headers in which clients send keys.
var credentials = map[string]bool{
	"Authorization": true, "Api-Key": true, "X-Api-Key": true, "X-Goog-Api-Key": true, "X-Litellm-Api-Key": true,
}

// routersOwn tells whether a header is one of those by which clients and router
// speak to each other.
func routersOwn(name string) bool { return strings.HasPrefix(name, "X-Llm-") }

var (
	noEncoding  = []string{"identity"}
	noUserAgent = []string{""}
)

// setHeader fills the header of one attempt with the client's.
func (x *Exchange) setHeader(h http.Header, d *Deployment) {
	client := x.r.Header
	named := client["Connection"]
	for name, values := range client {
		if ofConnection(name) || setHere(name) || tellsClient(name) || d.ownKey && credentials[name] || routersOwn(name) {
			continue
		}
		if named != nil && connectionNames(named, name) {
			continue
		}
		if len(d.ops) > 0 { // which may change values in place
			values = slices.Clone(values)
		}
		h[name] = values
	}
	encoding, userAgent, key := noEncoding, noUserAgent, d.key
	if len(d.ops) > 0 {
		encoding, userAgent, key = slices.Clone(encoding), slices.Clone(userAgent), slices.Clone(key)
	}
	// The answer's bytes are read here, so they must not come compressed.
	h["Accept-Encoding"] = encoding
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = userAgent // or the transport would send its own
	}
	if _, ok := h["Idempotency-Key"]; !ok {
		// Present and empty, it is not sent, and lets the transport replay a
		// request whose kept-alive connection turned out to be closed.
		h["Idempotency-Key"] = nil
	}
	if d.key != nil {
		h[d.keyHeader] = key
	}
}

// connectionNames tells whether a Connection header names another one.
func connectionNames(connection []string, name string) bool {
	for _, list := range connection {
		for field := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(textproto.TrimString(field), name) {
				return true
			}
		}
	}
	return false
}

// dropHopByHop removes from a response what concerns one connection only.
func dropHopByHop(h http.Header) {
	named := h["Connection"]
	for name := range h {
		if ofConnection(name) || named != nil && connectionNames(named, name) {
			delete(h, name)
		}
	}
}

// writeHead gives the client the head of the answer that is held.
func (x *Exchange) writeHead(a *engine.Attempt) {
	res := x.answer.res
	x.copyHeader(deploymentOf(a), res.StatusCode, res.Header, versionOf(res))
	h := x.w.Header()
	if x.answer.streams { // to which an end may be added
		delete(h, "Content-Length")
	}
	if x.answer.lengthKnown() && len(res.Trailer) == 0 {
		setContentLength(h, len(x.answer.held))
	}
	stamp(h, a)
	x.stampCost(a)
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	x.w.WriteHeader(res.StatusCode)
	x.committed, x.streaming = true, x.answer.streams
}

// versionOf is the version of HTTP of an answer.
func versionOf(res *http.Response) string {
	if res.ProtoMajor == 1 && res.ProtoMinor == 1 {
		return "1.1"
	}
	return strconv.Itoa(res.ProtoMajor) + "." + strconv.Itoa(res.ProtoMinor)
}

// setContentLength states a length that mostly stands there already. Setting a key of
// a map of eight grows it, even one that it has.
func setContentLength(h http.Header, length int) {
	text := strconv.Itoa(length)
	if stated := h["Content-Length"]; len(stated) != 1 || stated[0] != text {
		h["Content-Length"] = []string{text}
	}
}

// copyHeader puts an upstream's headers into the client's response.
func (x *Exchange) copyHeader(d *Deployment, status int, from http.Header, version string) {
	dropHopByHop(from)
	if down := d.down; down != nil && (down.Require == nil || down.Require.Match(status, from)) {
		down.ApplyTo(from, x.repl)
	}
	h := x.w.Header()
	delete(h, "Server")
	via := "1.1 Caddy"
	if version != "1.1" {
		via = version + " Caddy"
	}
	h["Via"] = append(h["Via"], via)
	for name, values := range from {
		if routersOwn(name) {
			continue
		}
		if own := h[name]; own != nil {
			values = append(slices.Clip(own), values...)
		}
		h[name] = values
	}
}

// informational hands a 1xx answer on to the client. The transport calls it
// from another goroutine, but never after the round trip is over.
func (x *Exchange) informational(code int, header http.Header) {
	x.roundTrip.Lock()
	defer x.roundTrip.Unlock()
	if !x.inRoundTrip || x.committed || x.quiet {
		return
	}
	h := x.w.Header()
	own := h.Clone()
	header = header.Clone()
	dropHopByHop(header)
	for name, values := range header {
		h[name] = append(h[name], values...)
	}
	x.w.WriteHeader(code)
	clear(h)
	maps.Copy(h, own)
}
