package caddyharness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile" // the caddyfile adapter

	"github.com/llmrouter/caddy-llm-router/internal/freeport"
)

// Adapt turns a Caddyfile into Caddy's JSON, without the changes that Load
// makes. Its indentation is taken off first, so that a test may indent it like
// its code.
func Adapt(config string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile.Format([]byte(config)), nil)
	return adapted, err
}

type object = map[string]any

// prepare adapts a config if it is a Caddyfile, and makes it fit to run in a
// test.
func (s *Server) prepare(config string) ([]byte, error) {
	raw := []byte(config)
	if !json.Valid(raw) { // a Caddyfile may begin with a brace too
		var err error
		if raw, err = Adapt(config); err != nil {
			return nil, err
		}
	}
	// Numbers stay as they are written: ids may be longer than a float64 holds.
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var cfg object
	if err := dec.Decode(&cfg); err != nil {
		return nil, fmt.Errorf("the config is not a JSON object: %w", err)
	}
	if cfg == nil {
		cfg = make(object)
	}
	s.setAdmin(cfg)
	s.setLogging(cfg)
	if cfg["storage"] == nil {
		cfg["storage"] = object{"module": "file_system", "root": filepath.Join(s.dir, "storage")}
	}
	if err := s.setServers(cfg); err != nil {
		return nil, err
	}
	return json.Marshal(cfg)
}

func (s *Server) setAdmin(cfg object) {
	admin := child(cfg, "admin")
	admin["config"] = object{"persist": false} // or Caddy overwrites autosave.json
	if s.opts.admin {
		admin["disabled"] = false
		admin["listen"] = s.adminAddr()
		return
	}
	admin["disabled"] = true
}

func (s *Server) adminAddr() string { return "unix/" + filepath.Join(s.dir, "admin.sock") }

func (s *Server) setLogging(cfg object) {
	logs := child(child(cfg, "logging"), "logs")
	child(logs, "default")
	for _, v := range logs {
		log, ok := v.(object)
		if !ok {
			continue
		}
		if log["writer"] == nil {
			log["writer"] = object{"output": "caddyharness", "name": s.logs.name}
			if log["encoder"] == nil {
				log["encoder"] = object{"format": "json"}
			}
		}
		if log["level"] == nil {
			log["level"] = "DEBUG"
		}
	}
}

func (s *Server) setServers(cfg object) error {
	apps := child(cfg, "apps")
	httpApp, ok := apps["http"].(object)
	if !ok {
		return nil
	}
	// A test does not wait for open connections longer than it needs to.
	if httpApp["grace_period"] == nil {
		httpApp["grace_period"] = "5s"
	}
	servers, _ := httpApp["servers"].(object)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = ""
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		srv, ok := servers[name].(object)
		if !ok {
			continue
		}
		if srv["automatic_https"] == nil {
			srv["automatic_https"] = object{"disable": true}
		}
		if err := s.setListen(srv); err != nil {
			return err
		}
		if s.opts.tls {
			srv["tls_connection_policies"] = []object{{}}
			if srv["protocols"] == nil {
				srv["protocols"] = []string{"h1", "h2"} // h3 would want the UDP port as well
			}
		}
	}
	if s.opts.tls {
		child(child(apps, "tls"), "certificates")["load_pem"] = []object{{
			"certificate": s.cert.certPEM, "key": s.cert.keyPEM,
		}}
	}
	return nil
}

// setListen moves a server to the address that stands for the one it asks for.
// The same port leads to the same place in every config of a test. The lock is
// held.
func (s *Server) setListen(srv object) error {
	asked, _ := srv["listen"].([]any)
	var listen []string
	for _, a := range asked {
		addr, _ := a.(string)
		if _, ok := isUnix(addr); ok {
			listen = append(listen, addr)
			continue
		}
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("listen address %q: %w", addr, err)
		}
		if s.ports[port] == "" {
			if s.ports[port], err = s.newAddr(); err != nil {
				return err
			}
		}
		if !slices.Contains(listen, s.ports[port]) {
			listen = append(listen, s.ports[port])
		}
	}
	if len(listen) > 0 {
		srv["listen"] = listen
		if s.first == "" {
			s.first = listen[0]
		}
	}
	return nil
}

func (s *Server) newAddr() (string, error) {
	if !s.opts.tcp {
		path := filepath.Join(s.dir, "c"+strconv.Itoa(len(s.ports))+".sock")
		if len(path) > 100 {
			return "", fmt.Errorf("the path of the unix socket %q is too long; set a shorter TMPDIR", path)
		}
		return "unix/" + path, nil
	}
	return freeport.Addr()
}

// isUnix takes the path out of an address in Caddy's notation.
func isUnix(addr string) (path string, ok bool) {
	path, ok = strings.CutPrefix(addr, "unix/")
	path, _, _ = strings.Cut(path, "|") // permissions
	return path, ok
}

// child returns the object under a key, which it makes if there is none.
func child(parent object, key string) object {
	c, ok := parent[key].(object)
	if !ok {
		c = make(object)
		parent[key] = c
	}
	return c
}
