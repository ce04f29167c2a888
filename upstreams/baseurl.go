package upstreams

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// baseURL is a deployment's address, taken apart once.
type baseURL struct {
	// scheme is http or https; h2c is http with the transport set to it.
	scheme string
	h2c    bool
	// dial is the address to connect to, in Caddy's notation.
	dial string
	// host is what the Host header says: no port where it is the scheme's own.
	host string
	// prefix takes the place of a leading /v1 of the request's path; no
	// trailing slash.
	prefix string
	// query is merged into the request's.
	query url.Values
}

// parseBaseURL reads scheme://host[:port][/prefix][?query] or unix//path. Its
// errors show neither a query nor a password, in which there may be a key.
func parseBaseURL(s string) (baseURL, error) {
	if path, ok := strings.CutPrefix(s, "unix/"); ok {
		if !strings.HasPrefix(path, "/") || path == "/" {
			return baseURL{}, fmt.Errorf("base_url %q: expected unix//path/to/socket", s)
		}
		return baseURL{scheme: "http", dial: s, host: "localhost"}, nil
	}
	shown, _, _ := strings.Cut(s, "?")
	u, err := url.Parse(s)
	if err != nil {
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err // without the address, in which a password may be
		}
		return baseURL{}, fmt.Errorf("base_url: %w", err)
	}
	if u.User != nil {
		return baseURL{}, fmt.Errorf("base_url of host %q carries a user or password; use api_key", u.Hostname())
	}
	b := baseURL{scheme: u.Scheme, host: u.Hostname(), prefix: strings.TrimRight(u.EscapedPath(), "/"), query: u.Query()}
	port := u.Port()
	switch u.Scheme {
	case "http", "h2c":
		b.scheme, b.h2c = "http", u.Scheme == "h2c"
		if port == "" {
			port = "80"
		}
	case "https":
		if port == "" {
			port = "443"
		}
	case "ws", "wss":
		return baseURL{}, fmt.Errorf("base_url %q: write http:// or https://; WebSocket upgrades use the same address", shown)
	default:
		return baseURL{}, fmt.Errorf("base_url %q: expected http://, https://, h2c:// or unix//path", shown)
	}
	if b.host == "" {
		return baseURL{}, fmt.Errorf("base_url %q has no host", shown)
	}
	if u.Fragment != "" {
		return baseURL{}, fmt.Errorf("base_url of host %q has a fragment", b.host)
	}
	b.dial = caddy.JoinNetworkAddress("", b.host, port)
	if (b.scheme == "http" && port != "80") || (b.scheme == "https" && port != "443") {
		b.host = u.Host
	} else if strings.Contains(b.host, ":") {
		b.host = "[" + b.host + "]"
	}
	return b, nil
}

// path maps the path that the client asked for, in its escaped form.
func (b *baseURL) path(client string) string {
	if b.prefix == "" {
		return client
	}
	if rest, ok := strings.CutPrefix(client, "/v1"); ok && (rest == "" || rest[0] == '/') {
		client = rest
	}
	return b.prefix + client
}

// paths maps the path that the client asked for, as a URL holds it: plain, and
// in its escaped form where that says more.
func (b *baseURL) paths(client *url.URL) (plain, raw string) {
	if client.RawPath == "" && !strings.Contains(b.prefix, "%") {
		return b.path(client.Path), ""
	}
	raw = b.path(client.EscapedPath())
	plain, err := url.PathUnescape(raw)
	if err != nil { // the parts were escaped rightly, so their sum is
		return raw, ""
	}
	return plain, raw
}

// rawQuery merges the address's own query into the client's; its own wins.
func (b *baseURL) rawQuery(client string) string {
	if len(b.query) == 0 {
		return client
	}
	if client == "" {
		return b.query.Encode()
	}
	merged, _ := url.ParseQuery(client) // what does not parse is dropped, as servers do
	maps.Copy(merged, b.query)
	return merged.Encode()
}
