package litellm

import (
	"slices"

	"github.com/llmrouter/caddy-llm-router/internal/state"
)

// redis mirrors the JSON of the Redis of the app llm_router, whose package imports
// this one.
type redis struct {
	URLs     []string  `json:"urls,omitempty"`
	Username string    `json:"username,omitempty"`
	Password string    `json:"password,omitempty"`
	Sentinel *sentinel `json:"sentinel,omitempty"`
}

type sentinel struct {
	Master   string `json:"master,omitempty"`
	Password string `json:"password,omitempty"`
}

// connectionWays are the keys that say where the Redis is, the first that is set
// counting, and the keys that have an effect beside it.
var connectionWays = []struct {
	key  string
	with []string
	read func(*connection, value) *redis
}{
	{"url", nil, (*connection).atURL},
	{"startup_nodes", []string{"username", "password", "ssl"}, (*connection).atNodes},
	{"sentinel_nodes", []string{"username", "password", "ssl", "db", "service_name", "sentinel_password"}, (*connection).atSentinels},
	{"host", []string{"username", "password", "ssl", "db", "port"}, (*connection).atHost},
}

// readRedis reads where the shared state is; nil when it is nowhere.
func readRedis(router *section) *redis {
	c := readConnection(router)
	for _, way := range connectionWays {
		where, ok := c.set[way.key]
		if !ok {
			continue
		}
		for _, key := range connectionKeys {
			if v, ok := c.set[key]; ok && key != way.key && !slices.Contains(way.with, key) {
				v.warn("has no effect beside %s", where.key)
				delete(c.set, key)
			}
		}
		return way.read(c, where)
	}
	for _, key := range connectionKeys {
		if v, ok := c.set[key]; ok {
			v.warn("has no effect without redis_host or redis_url")
		}
	}
	return nil
}

func (c *connection) atURL(where value) *redis {
	text, literal := where.resolved()
	if literal {
		options, err := state.ParseURLs([]string{where.text()}, false)
		if err != nil {
			where.fail("%v", err)
		}
		if options.Password != "" {
			where.warnOfSecret("password")
		}
	}
	return &redis{URLs: []string{text}}
}

func (c *connection) atHost(where value) *redis {
	r := c.open()
	port := ""
	if v, ok := c.set["port"]; ok {
		port = v.within(1, maxPort)
	} else {
		where.warn("redis_port is missing, without which LiteLLM shares nothing; it is taken for 6379")
	}
	r.URLs = []string{c.url(where.host(), port)}
	return r
}

// atNodes reads the nodes of a Cluster. One alone is written twice, because
// several URLs are what makes a Cluster.
func (c *connection) atNodes(where value) *redis {
	r := c.open()
	nodes := where.list()
	for _, item := range nodes {
		node, port := item.section(), ""
		if v, ok := node.take("port"); ok {
			port = v.within(1, maxPort)
		}
		if v, ok := node.take("host"); ok {
			r.URLs = append(r.URLs, c.url(v.host(), port))
		} else {
			item.fail("host is missing")
		}
		node.rest()
	}
	if nodes != nil && len(nodes) == 0 {
		where.fail("expected at least one node, such as {host: redis-1, port: 6379}")
	}
	if len(r.URLs) == 1 {
		r.URLs = append(r.URLs, r.URLs[0])
	}
	return r
}

func (c *connection) atSentinels(where value) *redis {
	r := c.open()
	sentinels := where.list()
	for _, item := range sentinels {
		switch pair := item.list(); {
		case len(pair) == 2:
			r.URLs = append(r.URLs, c.url(pair[0].host(), pair[1].within(1, maxPort)))
		case pair != nil:
			item.fail("expected a host and a port, such as [sentinel-1, 26379]")
		}
	}
	if sentinels != nil && len(sentinels) == 0 {
		where.fail("expected at least one Sentinel, such as [sentinel-1, 26379]")
	}
	r.Sentinel = &sentinel{Password: c.secret("sentinel_password")}
	if v, ok := c.set["service_name"]; ok {
		r.Sentinel.Master, _ = v.resolved()
	} else {
		where.fail("redis_service_name is missing; expected the Sentinels' name for the master")
	}
	return r
}
