package litellm

import (
	"net"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxPort     = 65535
	maxDatabase = 65535
)

// connection is what router_settings say of the Redis that LiteLLM's router
// shares its state through: redis_<key>, and <key> in cache_kwargs.
type connection struct {
	doc    *document
	set    map[string]value
	scheme string
	path   string // the number of a database, if there is one
}

var connectionKeys = []string{
	"url", "startup_nodes", "sentinel_nodes", "service_name", "sentinel_password",
	"host", "port", "db", "username", "password", "ssl",
}

// readConnection finds the keys. cache_kwargs win, as in LiteLLM.
func readConnection(router *section) *connection {
	kwargs := router.sub("cache_kwargs")
	c := &connection{doc: router.doc, set: make(map[string]value)}
	for _, key := range connectionKeys {
		v, ok := router.take("redis_" + key)
		if own, also := kwargs.take(key); also {
			if ok {
				v.warn("is not used, because cache_kwargs.%s is set", key)
			}
			v, ok = own, true
		}
		if ok && (!v.scalar() || v.text() != "") {
			c.set[key] = v
		}
	}
	kwargs.rest(unsupportedConnection)
	return c
}

// open reads what all addresses have in common.
func (c *connection) open() *redis {
	c.scheme = "redis://"
	if c.tls() {
		c.scheme = "rediss://"
	}
	if v, ok := c.set["db"]; ok {
		c.path = "/" + v.within(0, maxDatabase)
	}
	r := &redis{Password: c.secret("password")}
	if r.Password != "" {
		r.Username = c.secret("username")
	} else if v, ok := c.set["username"]; ok {
		v.fail("redis_password is missing; a user needs one")
	}
	return r
}

// url gives the address of one server, whose parts may be placeholders. User and
// password are not in it, but beside it, where they need no encoding.
func (c *connection) url(host, port string) string {
	if port != "" {
		host = net.JoinHostPort(host, port)
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return c.scheme + host + c.path
}

// secret reads a user or a password. LiteLLM takes what the config leaves out
// from a variable.
func (c *connection) secret(key string) string {
	v, ok := c.set[key]
	if !ok {
		if name := "REDIS_" + strings.ToUpper(key); c.doc.has(name) {
			return c.doc.fromEnvironment(name)
		}
		return ""
	}
	text, literal := v.resolved()
	if literal && key != "username" {
		v.warnOfSecret("password")
	}
	return text
}

// tls tells whether to connect with TLS. LiteLLM takes this too from a variable,
// but a scheme cannot be a placeholder: what counts is what it is now.
func (c *connection) tls() bool {
	const name = "REDIS_SSL"
	if v, ok := c.set["ssl"]; ok {
		return v.boolean()
	}
	if v := c.doc.variables[name]; v != nil && v.literal {
		v.used, v.literal = true, false
		return v.boolean()
	}
	text := c.doc.getenv(name)
	if text == "" {
		return false
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	return value{doc: c.doc, node: node, at: place{path: "the environment variable " + name}}.boolean()
}

// hostName is what a host can be, IPv6 addresses among it.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

// host reads the name or the address of a host.
func (v value) host() string {
	text, literal := v.resolved()
	if literal && !hostName.MatchString(text) && v.scalar() {
		v.fail("expected the name or the IP address of a host")
	}
	return text
}

// within reads a whole number as the part of a text that it becomes: it may come
// from the environment.
func (v value) within(low, high int64) string {
	if v.fromEnvironment() {
		text, _ := v.resolved()
		return text
	}
	failed := v.doc.failed
	n := v.whole()
	if v.doc.failed == failed && (n < low || n > high) {
		v.fail("expected a whole number from %d to %d", low, high)
	}
	return strconv.FormatInt(n, 10)
}
