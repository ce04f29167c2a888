package litellm

import (
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// defaultPort is what LiteLLM listens on.
const defaultPort = "4000"

// masterKeyVar is the variable that LiteLLM takes the clients' key from when
// the config has none.
const masterKeyVar = "LITELLM_MASTER_KEY"

// general is what general_settings and the environment say of the server.
type general struct {
	port string
	// key is the key that clients have to send: a placeholder or a literal.
	key      string
	literal  bool
	optional bool // the key is only asked for when its variable is set
	header   string
	ips      []string // the only ones that may call; empty is everyone
	maxBody  int64
}

// readGeneral reads general_settings.
func readGeneral(root *section) *general {
	s := root.sub("general_settings")
	g := &general{port: root.doc.port(s)}
	g.readKey(s)
	if v, ok := s.take("allowed_ips"); ok {
		g.ips = v.addresses()
	}
	if v, ok := s.take("max_request_size_mb"); ok {
		g.maxBody = int64(v.number() * (1 << 20))
	}
	s.rest(unsupportedGeneral)
	return g
}

// port reads where to listen: LiteLLM takes it from the environment.
func (doc *document) port(s *section) string {
	at, port := s.at, doc.getenv("PORT")
	at.path = "the environment variable PORT"
	if v := doc.variables["PORT"]; v != nil && v.literal {
		at, port, v.used, v.literal = v.at, v.text, true, false
	}
	if port == "" {
		return defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		doc.fail(at, "expected a port from 1 to 65535")
		return defaultPort
	}
	return port
}

// headerName is what a placeholder for a header can name.
var headerName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// readKey reads the key that LiteLLM demands from its clients. Without it the
// adapted config would be an open proxy.
func (g *general) readKey(s *section) {
	if v, ok := s.take("litellm_key_header_name"); ok {
		if g.header = http.CanonicalHeaderKey(v.text()); !headerName.MatchString(g.header) {
			v.fail("is not the name of a header that can be asked for")
		}
	}
	other, hasOther := s.otherAuthentication()
	v, ok := s.take("master_key")
	switch {
	case ok && v.text() != "":
		key, literal := v.resolved()
		if literal {
			v.warnOfSecret("key")
			key = v.text()
		} else if set := s.doc.variables[strings.TrimPrefix(v.text(), environPrefix)]; set != nil && set.literal {
			key, literal = set.value.text(), true
		}
		if key == "" {
			v.fail("the variable is empty, and without a key everybody could call")
		}
		g.key, g.literal = key, literal
	case hasOther:
		other.fail("cannot be run here, and without it everybody could call; remove it, and put one of Caddy's ways to authenticate before the router, or set master_key")
	default:
		g.key, g.optional = placeholder(masterKeyVar), true
		if set := s.doc.variables[masterKeyVar]; set != nil {
			set.used, g.key, g.literal, g.optional = true, set.text, set.literal, false
			if set.literal {
				g.key = set.value.text()
			}
			if g.key == "" {
				set.fail("is empty, and without a key everybody could call; remove it if that is meant")
			}
		}
	}
	if g.key != "" && hasOther {
		other.warn("is not run here; clients are asked for the master_key alone")
	}
}

// otherAuthentication gives the first key by which LiteLLM asks for something
// else than the master key.
func (s *section) otherAuthentication() (first value, found bool) {
	for _, key := range []string{"custom_auth", "enable_jwt_auth", "enable_oauth2_auth", "enable_oauth2_proxy_auth"} {
		v, ok := s.take(key)
		if ok && (key == "custom_auth" || v.boolean()) && !found {
			first, found = v, true
		}
	}
	return first, found
}

// addresses reads a list of IP addresses or networks.
func (v value) addresses() []string {
	var ips []string
	for _, item := range v.list() {
		text := item.text()
		_, err := netip.ParseAddr(text)
		if _, prefix := netip.ParsePrefix(text); err != nil && prefix != nil {
			item.fail("expected an IP address, got %q", text)
			continue
		}
		ips = append(ips, text)
	}
	if len(ips) == 0 {
		v.fail("expected at least one IP address")
	}
	return ips
}
