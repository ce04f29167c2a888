package state

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// DefaultPrefix begins every key in Redis.
	DefaultPrefix = "llm_router:"
	// DefaultTimeout is the longest that a request waits for a reservation.
	DefaultTimeout = 50 * time.Millisecond

	redisPort    = "6379"
	sentinelPort = "26379"
)

// Options say which Redis it is and how it is used.
type Options struct {
	// Addrs are host:port of a server, of several nodes of a Cluster, or of the
	// Sentinels that know where the Master is.
	Addrs              []string
	Username, Password string
	DB                 int
	TLS                *tls.Config // nil: plain TCP

	Master           string // the name that Sentinels know; empty: no Sentinels
	SentinelUsername string
	SentinelPassword string

	Prefix  string        // of every key; empty: DefaultPrefix
	Strict  bool          // requests are reserved before they are sent
	Timeout time.Duration // of one reservation; 0: DefaultTimeout
}

// ParseURLs reads redis:// and rediss:// URLs, which must agree on everything
// but the host. Errors never contain a URL, which may have a password.
func ParseURLs(urls []string, sentinels bool) (Options, error) {
	var o Options
	if len(urls) == 0 {
		return o, errors.New("no URL; expected at least one, such as redis://localhost:6379")
	}
	for i, raw := range urls {
		next, err := parseURL(raw, sentinels)
		if err != nil {
			return Options{}, fmt.Errorf("URL %d: %w", i+1, err)
		}
		if i > 0 && (next.Username != o.Username || next.Password != o.Password || next.DB != o.DB || (next.TLS == nil) != (o.TLS == nil)) {
			return Options{}, fmt.Errorf("URL %d: scheme, user, password and database must be those of the first URL", i+1)
		}
		addrs := append(o.Addrs, next.Addrs...)
		o = next
		o.Addrs = addrs
	}
	if len(o.Addrs) > 1 && !sentinels && o.DB != 0 {
		return Options{}, errors.New("a Cluster has no database but 0")
	}
	return o, nil
}

func parseURL(raw string, sentinel bool) (Options, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return Options{}, errors.New("it is not a URL; user and password must be percent-encoded")
	}
	var o Options
	switch u.Scheme {
	case "redis":
	case "rediss":
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // the name is that of each address
	default:
		return Options{}, errors.New("the scheme must be redis:// or rediss://")
	}
	if u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return Options{}, errors.New("expected <scheme>://[<user>:<password>@]<host>[:<port>][/<database>] and nothing else")
	}
	port := u.Port()
	if port == "" {
		if port = redisPort; sentinel {
			port = sentinelPort
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return Options{}, errors.New("the port must be a number from 1 to 65535")
	}
	o.Addrs = []string{net.JoinHostPort(u.Hostname(), port)}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	if db := strings.Trim(u.Path, "/"); db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 || o.DB > 1<<16 {
			return Options{}, errors.New("the path must be the number of a database")
		}
	}
	return o, nil
}

// dialTimeout and ioTimeout bound what happens in the background.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = time.Second
)

// client makes a client, which connects when it is first used.
func (o *Options) client() redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addrs, MasterName: o.Master,
		Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,

		// What fails is tried again in the next round, not behind it.
		MaxRetries: -1, DialerRetries: 1,
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		ContextTimeoutEnabled: true,
		// A node that failed over is asked again at once when the rest says so.
		FailingTimeoutSeconds: 1,

		// Nothing that an ACL or a Valkey might not have.
		Protocol: 2, DisableIdentity: true,
	})
}
